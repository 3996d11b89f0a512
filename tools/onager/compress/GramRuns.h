// Gram matrices by compiled products.
#ifndef ONAGER_TOOLS_COMPRESS_GRAMRUNS_H
#define ONAGER_TOOLS_COMPRESS_GRAMRUNS_H

#include "SampleRuns.h"
#include "lib/Compress/Cholesky.h"
#include "tools/onager/Session.h"

namespace onager::cli {

/// What the rows of a layer's input are like: X of the model whose layers so far are rounded, Y of the plain model.
struct Grams {
  compress::Gram own, cross; ///< X^T X and, where Y was given, Y^T X
  size_t rows = 0;
};

/// Multiplies rows by rows, of any number and length. One thread at a time; `runs` must outlive the object.
class GramRuns {
public:
  explicit GramRuns(const SampleRuns &runs) : runs(runs) {}

  /// Adds X^T X and, unless y is null, Y^T X of so many rows.
  void add(const float *x, const float *y, size_t rows, size_t terms, Grams &grams);

private:
  /// X^T Y of `inputs`; X^T X of one.
  Tensor multiply(std::vector<Tensor> inputs);

  struct Product {
    Artifact artifact;
    std::unique_ptr<Session> session;
  };
  const SampleRuns &runs;
  Product products[2]; ///< by one and two operands; made when needed
};

} // namespace onager::cli

#endif
