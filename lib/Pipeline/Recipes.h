// How weights are made, so that forms of one model find each other's.
//
// table  := targetBytes:u64 target count:u64 recipe*      the target of the code, as --target names it
// recipe := low:u64 high:u64 offset:u64 bytes:u64      a 128-bit hash; where the weight lies in the section
//
// The hash is one of text: the name of a constant of the model, or the unit that computes the weight with the hashes of what it reads.
#ifndef ONAGER_PIPELINE_RECIPES_H
#define ONAGER_PIPELINE_RECIPES_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/MapVector.h"
#include <optional>
#include <string>

namespace onager {

/// Low and high half of a recipe's hash.
using RecipeKey = std::pair<uint64_t, uint64_t>;

/// Returns the key of a constant of the model.
RecipeKey makeConstantKey(mlir::ElementsAttr value);

/// Returns the keys of a planned module's weights, by index.
llvm::SmallVector<RecipeKey> makeRecipeKeys(mlir::ModuleOp module);

/// Where the weights of a form lie.
class RecipeTable {
public:
  struct Place {
    uint64_t offset, bytes;
  };
  /// Adds a weight.
  void add(RecipeKey key, Place place) { places.insert({key, place}); }
  std::optional<Place> find(RecipeKey key) const;
  std::string encode() const;
  /// Reads what encode has written; false for anything else.
  bool decode(llvm::StringRef bytes);

  std::string target; ///< of the code that reads the weights

private:
  llvm::MapVector<RecipeKey, Place> places;
};

} // namespace onager

#endif
