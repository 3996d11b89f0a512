// onager operators: which operators a model may use.
#include "Cli.h"
#include "Files.h"
#include "Profile.h"
#include <CLI/CLI.hpp>
#include <memory>

namespace json = llvm::json;

namespace onager::cli {

static const char *describe(OperatorInfo::How how) {
  switch (how) {
  case OperatorInfo::direct: return "direct";
  case OperatorInfo::inlined: return "inlined";
  default: return "missing";
  }
}

static Status runOperators(bool isJson, const std::string &domain) {
  json::Array list;
  for (const OperatorInfo &info : listOperators()) {
    if (!domain.empty() && info.domain != domain)
      continue;
    if (isJson)
      list.push_back(json::Object{{"domain", info.domain}, {"name", info.name}, {"since", info.since}, {"how", describe(info.how)}, {"types", json::Array(info.types)}});
    else
      printFormatted("%-28s %-36s since %-3lld %s\n", info.domain.c_str(), info.name.c_str(), static_cast<long long>(info.since), describe(info.how));
  }
  if (isJson)
    print(formatJson(std::move(list)));
  return Status::ok;
}

Command addOperators(CLI::App &app) {
  auto isJson = std::make_shared<bool>(false);
  auto domain = std::make_shared<std::string>();
  app.add_option("--domain", *domain, "Only operators of this domain, e.g. ai.onnx")->type_name("NAME");
  app.add_flag("--json", *isJson, "Print JSON, with the element types of inputs");
  return [isJson, domain] { return runOperators(*isJson, *domain); };
}

} // namespace onager::cli
