// Rounding that knows what the inputs look like: GPTQ (Frantar et al. 2022), with the plain model's values as the aim (as GPTAQ, Li et al. 2025), and coordinate descent behind it; or, from the nearest integers on
// and with their scales, coordinate descent alone, on the error that AdaRound (Nagel et al. 2020) lowers by relaxation.
#ifndef ONAGER_LIB_COMPRESS_GPTQ_H
#define ONAGER_LIB_COMPRESS_GPTQ_H

#include "lib/Compress/Cholesky.h"
#include "lib/Compress/Prune/Unfold.h"
#include "lib/Compress/Rounding.h"

namespace onager::compress {

/// The integers that weights become: in groups of so many terms of a row, 0 .. 2^bits - 1 with a zero point of their own; or symmetric, 1 .. 255 with the zero point kByteZero.
struct IntegerForm {
  size_t size;
  int bits;
  bool isSymmetric = false;
  float getLeast() const { return isSymmetric ? 1 : 0; }
  float getMost() const { return static_cast<float>((1 << bits) - 1); }
};

/// Rounds a group to its form, with the range of the smallest squared error.
RoundedGroup roundToForm(const float *weights, size_t count, const IntegerForm &form);
/// Rounds rows of so many terms, each in its groups.
std::vector<RoundedGroup> roundToForms(const std::vector<float> &weights, size_t terms, const IntegerForm &form);

/// How far the products of so many rows are trusted beside the weights themselves: the multiple of the mean of the diagonal of X^T X that is added to it.
double chooseDamping(size_t terms, size_t rows);

/// Rounds products of one input, whose rows X it knows by their Gram matrix.
class GramRounding {
public:
  /// `gram` is X^T X of so many rows.
  GramRounding(Gram gram, size_t rows);

  /// Moves weights, [outputs, terms], to those that come near, on the rows X, to what they make of other rows Y, where `cross` is Y^T X: a part of the least squares
  /// W + W (Y^T X - X^T X) (X^T X + damping)^-1, the smaller the fewer rows there are, none below two rows for a term.
  void fitToOtherRows(std::vector<float> &weights, const Gram &cross);

  /// Rounds weights with integer zero points, for each output its groups, one after the other, to what fitToOtherRows makes of them, if there is `cross`. With gptq terms are rounded in turn, and each one's error is
  /// made up for by the weights that follow, as the inverse of the Gram matrix says; `descend` improves the result. With adaround it starts from the integers nearest to the weights, and keeps their scales.
  std::vector<RoundedGroup> round(const std::vector<float> &weights, const Gram *cross, const IntegerForm &form, RoundingMethod method);

private:
  std::vector<RoundedGroup> roundInTurn(std::vector<float> weights, const IntegerForm &form);
  const std::vector<float> &getErrorRows();

  Gram gram;
  double damping;
  float trust; ///< the part of the least squares that is taken
  std::vector<float> errorRows; ///< where something needed them
};

/// Rounds products that sum over so many terms that a Gram matrix of them takes too much memory, by rows themselves: coordinate descent from the nearest integers, which with gptq moves scales as well.
class RowRounding {
public:
  explicit RowRounding(const Rows &rows);
  std::vector<RoundedGroup> round(const std::vector<float> &weights, const IntegerForm &form, RoundingMethod method) const;

  /// The rows as columns, one after the other.
  struct Columns {
    size_t rows = 0;
    float damping = 0; ///< what is added to the diagonal of X^T X
    std::vector<float> values, squares;
    const float *get(size_t term) const { return values.data() + term * rows; }
  };

private:
  size_t terms;
  Columns columns;
};

/// Lowers the error of rounded weights on the rows of `gram` by coordinate descent: in turns each integer and, with `movesScales`, the scale of each group moves to its best beside the others; those of weights that are 0 stay. `damping` times the
/// mean of the diagonal is added to it.
void descend(const std::vector<float> &weights, const Gram &gram, double damping, const IntegerForm &form, bool movesScales, std::vector<RoundedGroup> &groups);

} // namespace onager::compress

#endif
