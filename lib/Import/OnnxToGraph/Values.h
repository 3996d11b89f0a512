// Values that are no tensors, at the borders where a list of tensors must stand for them: signatures and regions.
//
//   form     := tensor | sequence | optional '(' form ')' | map | sequence '(' map ')'
//   leaves   tensor:        the tensor itself
//            sequence:      ranks [n] i64, dims [sum of ranks] i64, data [sum of sizes], for elements of any shapes, one after another
//            optional(f):   present [] bool, then the leaves of f, which hold nothing of meaning where it is empty
//            map:           keys [n], values [n]
//            sequence(map): keys [n], values [rows, n]
#ifndef ONAGER_LIB_IMPORT_ONNXTOGRAPH_VALUES_H
#define ONAGER_LIB_IMPORT_ONNXTOGRAPH_VALUES_H

#include "lib/Import/OnnxToGraph/Importer.h"

namespace onager::frontend {

/// A rank that no element has contradicted yet: that of an empty sequence.
inline constexpr int64_t kAnyRank = -2;

/// What a value consists of.
struct Form {
  Datum::Kind kind = Datum::tensor; ///< tensor, ragged, optional, map, maps, or absent: an optional of nothing known
  mlir::Type element;               ///< of a tensor or a sequence's tensors; of a map's values
  mlir::Type keys;                  ///< of a map
  int64_t rank = -1;                ///< of a tensor; of a sequence's tensors, -1 where they differ
  Dims dims;                        ///< of a tensor
  std::vector<Form> inner;          ///< of an optional

  size_t countLeaves() const;
  /// Returns what ends the names of the leaves: "" of a tensor, ".ranks", ".dims", ".data" of a sequence ...
  std::vector<std::string> getSuffixes() const;
  /// Returns the form as the grammar above writes it.
  std::string toString() const;
  bool operator==(const Form &other) const;
};

/// Returns the form of a value; a sequence of known length has that of any sequence.
Form getForm(const Datum &datum);
/// Returns the form that can hold values of both; nothing where there is none.
std::optional<Form> joinForms(const Form &a, const Form &b);
/// Appends the tensors that a value consists of in a form that can hold it.
void flattenDatum(Emitter &e, const Datum &datum, const Form &form, Values &leaves);
/// Returns the value of a form from the front of a list of leaves, which it shortens.
Datum rebuildDatum(const Form &form, llvm::ArrayRef<mlir::Value> &leaves);
/// Gives a sequence the form that does not depend on its length.
Datum toRagged(Emitter &e, const Datum &sequence);

} // namespace onager::frontend

#endif
