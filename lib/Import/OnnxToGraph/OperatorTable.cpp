// The one table of import functions.
#include "lib/Import/OnnxToGraph/Importer.h"

namespace onager::frontend {

void OperatorTable::addIn(llvm::StringRef domain, llvm::StringRef op, ImportFunction function, int64_t since) {
  auto &list = entries[(domain + ":" + op).str()];
  list.push_back({since, function});
  llvm::sort(list, [](const Entry &a, const Entry &b) { return a.since < b.since; });
}

ImportFunction OperatorTable::find(llvm::StringRef domain, llvm::StringRef op, int64_t opset) const {
  ImportFunction found = nullptr;
  auto it = entries.find((domain + ":" + op).str());
  if (it == entries.end())
    return nullptr;
  for (const Entry &entry : it->second)
    if (entry.since <= opset)
      found = entry.function;
  return found;
}

void OperatorTable::forEach(llvm::function_ref<void(llvm::StringRef, llvm::StringRef, int64_t)> use) const {
  for (const auto &entry : entries) {
    auto [domain, op] = entry.getKey().rsplit(':');
    for (const Entry &version : entry.getValue())
      use(domain, op, version.since);
  }
}

static OperatorTable makeTable() {
  OperatorTable table;
  addElementwise(table);
  addActivations(table);
  addConstants(table);
  addMovement(table);
  addIndexing(table);
  addSlicing(table);
  addReductions(table);
  addContractions(table);
  addWindows(table);
  addNormalizations(table);
  addQuantization(table);
  addRecurrent(table);
  addResize(table);
  addControl(table);
  addSorting(table);
  addVision(table);
  addMl(table);
  addTrees(table);
  addLegacy(table);
  addRandom(table);
  addSampling(table);
  addSignal(table);
  addTraining(table);
  addRegions(table);
  addText(table);
  addGradient(table);
  addImages(table);
  addStrings(table);
  addTokenizer(table);
  addMaps(table);
  addSupportVectors(table);
  addSequences(table);
  addMicrosoftAttention(table);
  addMicrosoftGroupedAttention(table);
  addMicrosoftFused(table);
  addMicrosoftQuantized(table);
  addMicrosoftTensors(table);
  addMicrosoftEmbedding(table);
  addMicrosoftExperts(table);
  addMicrosoftBlocks(table);
  addMicrosoftRecurrent(table);
  addMicrosoftGeneration(table);
  addMicrosoftGrams(table);
  addMicrosoftPacked(table);
  addPacked(table);
  addQLinear(table);
  return table;
}

const OperatorTable &OperatorTable::get() {
  static const OperatorTable table = makeTable();
  return table;
}

} // namespace onager::frontend
