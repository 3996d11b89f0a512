// What can be imported: the schemas' operators and those that only the importer knows.
#include "include/onager/Compiler.h"
#include "lib/Import/OnnxToGraph/Importer.h"
#include "lib/Import/Reader/Schemas.h"
#include <set>
#include <tuple>

namespace onager {

std::vector<OperatorInfo> listOperators() {
  const frontend::OperatorTable &table = frontend::OperatorTable::get();
  std::vector<OperatorInfo> list;
  std::set<std::pair<std::string, std::string>> known;
  for (frontend::SchemaInfo &schema : frontend::listSchemas()) {
    known.insert({schema.domain, schema.name});
    bool isDirect = table.find(schema.domain, schema.name, schema.since);
    OperatorInfo::How how = isDirect ? OperatorInfo::direct : schema.hasBody ? OperatorInfo::inlined : OperatorInfo::missing;
    list.push_back({schema.domain.empty() ? "ai.onnx" : schema.domain, schema.name, schema.since, how, std::move(schema.types)});
  }
  table.forEach([&](llvm::StringRef domain, llvm::StringRef op, int64_t since) {
    if (!known.count({domain.str(), op.str()}))
      list.push_back({domain.empty() ? "ai.onnx" : domain.str(), op.str(), since, OperatorInfo::direct, {}});
  });
  llvm::sort(list, [](const OperatorInfo &a, const OperatorInfo &b) { return std::tie(a.domain, a.name, a.since) < std::tie(b.domain, b.name, b.since); });
  return list;
}

} // namespace onager
