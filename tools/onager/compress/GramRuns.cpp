// The two products as ONNX text.
#include "GramRuns.h"
#include <cstring>

namespace onager::cli {

static const char *const kProducts[] = {
    R"(<ir_version: 8, opset_import: ["" : 13]> gram (float[rows, terms] x) => (float[terms, terms] product) { product = Gemm<transA = 1>(x, x) })",
    R"(<ir_version: 8, opset_import: ["" : 13]> cross (float[rows, terms] y, float[rows, terms] x) => (float[terms, terms] product) { product = Gemm<transA = 1>(y, x) })"};

static Tensor makeRows(const float *values, size_t rows, size_t terms) {
  Tensor tensor = makeTensor(ONAGER_F32, {static_cast<int64_t>(rows), static_cast<int64_t>(terms)});
  std::memcpy(tensor.data.data(), values, tensor.data.size());
  return tensor;
}

Tensor GramRuns::multiply(std::vector<Tensor> inputs) {
  Product &product = products[inputs.size() - 1];
  if (!product.session) {
    product.artifact = runs.compile(kProducts[inputs.size() - 1]);
    product.session = std::make_unique<Session>(product.artifact.path, runs.getThreads());
  }
  product.session->bind(inputs);
  product.session->run();
  return std::move(product.session->copyOutputs()[0]);
}

void GramRuns::add(const float *x, const float *y, size_t rows, size_t terms, Grams &grams) {
  auto addTo = [](compress::Gram &gram, const Tensor &product) { gram.add(reinterpret_cast<const float *>(product.data.data()), product.size()); };
  grams.rows += rows;
  if (y) {
    std::vector<Tensor> both;
    both.push_back(makeRows(y, rows, terms));
    both.push_back(makeRows(x, rows, terms));
    addTo(grams.cross, multiply(std::move(both)));
  }
  std::vector<Tensor> one;
  one.push_back(makeRows(x, rows, terms));
  addTo(grams.own, multiply(std::move(one)));
}

} // namespace onager::cli
