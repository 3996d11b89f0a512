// Keys of weights, and the table of their places.
#include "lib/Pipeline/Recipes.h"
#include "dialects/Kernel/IR/Kernel.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/Support/xxhash.h"
#include <cstring>

using namespace mlir;

namespace onager {

static RecipeKey hashText(StringRef text) {
  llvm::XXH128_hash_t hash = llvm::xxh3_128bits(ArrayRef(reinterpret_cast<const uint8_t *>(text.data()), text.size()));
  return {hash.low64, hash.high64};
}

RecipeKey makeConstantKey(ElementsAttr value) {
  std::string text;
  llvm::raw_string_ostream out(text);
  out << value.getShapedType() << ' ';
  // The name alone: the bytes may be elsewhere, and printing a resource's type once more is no loss.
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(value))
    out << resource.getRawHandle().getKey();
  else
    out << value;
  return hashText(text);
}

SmallVector<RecipeKey> makeRecipeKeys(ModuleOp module) {
  SymbolTable symbols(module);
  llvm::StringMap<std::string> units;
  SmallVector<RecipeKey> keys;
  // A weight is listed behind those that it is made of.
  for (auto entry : module->getAttrOfType<ArrayAttr>(kernel::kWeightsAttr).getAsRange<DictionaryAttr>()) {
    if (auto value = entry.getAs<ElementsAttr>("value")) {
      keys.push_back(makeConstantKey(value));
      continue;
    }
    StringRef name = entry.getAs<FlatSymbolRefAttr>("unit").getValue();
    std::string &unit = units[name];
    if (unit.empty())
      unit = kernel::describeUnit(symbols.lookup<kernel::UnitOp>(name));
    std::string text;
    llvm::raw_string_ostream out(text);
    out << unit << '#' << entry.getAs<IntegerAttr>("result").getInt();
    for (int64_t input : entry.getAs<DenseI64ArrayAttr>("inputs").asArrayRef())
      out << ' ' << keys[input].first << ',' << keys[input].second;
    keys.push_back(hashText(text));
  }
  return keys;
}

std::optional<RecipeTable::Place> RecipeTable::find(RecipeKey key) const {
  auto found = places.find(key);
  return found == places.end() ? std::nullopt : std::optional(found->second);
}

std::string RecipeTable::encode() const {
  std::string bytes;
  auto number = [&](uint64_t x) { bytes.append(reinterpret_cast<const char *>(&x), sizeof x); };
  number(target.size());
  bytes += target;
  number(places.size());
  for (const auto &[key, place] : places)
    for (uint64_t x : {key.first, key.second, place.offset, place.bytes})
      number(x);
  return bytes;
}

bool RecipeTable::decode(StringRef bytes) {
  auto number = [&] {
    uint64_t x = 0;
    std::memcpy(&x, bytes.data(), sizeof x);
    bytes = bytes.drop_front(sizeof x);
    return x;
  };
  constexpr size_t kEntry = 4 * sizeof(uint64_t);
  if (bytes.size() < sizeof(uint64_t))
    return false;
  uint64_t length = number();
  if (length > bytes.size() || bytes.size() - length < sizeof(uint64_t))
    return false;
  target = bytes.take_front(length).str();
  bytes = bytes.drop_front(length);
  uint64_t count = number();
  if (bytes.size() % kEntry || count != bytes.size() / kEntry)
    return false;
  while (!bytes.empty()) {
    uint64_t low = number(), high = number(), offset = number();
    add({low, high}, {offset, number()});
  }
  return true;
}

} // namespace onager
