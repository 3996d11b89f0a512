// Residual streams: values that additions carry through a transformer, which norms read and layers write.
//
//   s0 = Gather(table, ids)            table: [words, width]
//   x0 = norm(s0), w0 = MatMul(f(MatMul(x0, R0)), W0), s1 = s0 + w0
//   x1 = norm(s1), ...                                                      y = MatMul(norm(sN), head)
//
// RMSNorm without its scale is the same in any orthonormal basis of the width: norm(s Q) = norm(s) Q. So s may be s Q everywhere, where what writes becomes W Q (tables and biases as well) and what reads Q^T R. Scales and
// biases of norms go into the readers, and LayerNorm's mean out of the writers: what lies along (1, 1, ..) is 0 then, and LayerNorm is RMSNorm. If Q is that of the principal components of what the norms give, the stream's last
// columns hold least and are left out: `kept` of `width` stay, and the mean of their squares is that of all, times width / kept, so that
//
//   norm(s)[kept] = sqrt(kept / width) ...: s / sqrt(kept / width * mean(s^2) + epsilon) = sqrt(width / kept) * s / sqrt(mean(s^2) + epsilon * width / kept)
//
// With a basis of its own for each norm what is carried on from one to the next is multiplied by Q^T Q', [kept, kept].
//
// A norm on the path of the additions, as of BERT, ends this: its scale does not commute with Q.
#ifndef ONAGER_LIB_COMPRESS_SLICE_STREAM_H
#define ONAGER_LIB_COMPRESS_SLICE_STREAM_H

#include "lib/Compress/Layer.h"
#include "lib/Compress/Slice/Norms.h"

namespace onager::compress {

struct Stream {
  std::vector<Norm> norms;      ///< that read it, in the graph's order
  std::set<std::string> values; ///< those that hold it, and what is added to it
  std::set<std::string> entries; ///< those of the values that neither a layer nor a table makes
  std::string obstacle;         ///< why it cannot be rotated; "" where it can
  int64_t getWidth() const { return norms.front().width; }
  bool isCentred() const { return norms.front().isCentred; }
  /// What recipes call the stream.
  const std::string &getName() const { return norms.front().input; }
};

/// Which nodes move, add or scale whole rows, so that a change of the rows' basis passes through them.
class RowRules {
public:
  RowRules(const ModelGraph &model, const Shapes &shapes) : model(model), shapes(shapes) {}
  /// The operands whose rows a node passes on; none for other nodes.
  std::vector<int> listOperands(const onnx::NodeProto &node, int64_t width) const;
  /// True for a node that moves rows without changing any.
  bool isMove(const onnx::NodeProto &node, int64_t width) const;
  /// True for a Shape of which nobody reads the last dim.
  bool ignoresWidth(const onnx::NodeProto &node, const Readers &readers) const;
  int64_t getWidth(const std::string &value) const;

private:
  bool keepsLastDim(const onnx::NodeProto &node, int64_t width) const;

  const ModelGraph &model;
  const Shapes &shapes;
};

/// The constant that holds the last element of a Reshape's dims: an operand of the Reshape itself, or of the Concat that makes them; `value` is the element.
struct LastDim {
  std::string node; ///< first output of the node that reads it
  int input = 0;
  std::vector<int64_t> values;
};
std::optional<LastDim> findLastDim(const ModelGraph &model, const onnx::NodeProto &reshape);

/// A product that nobody scales or transposes, as a layer; its bias, where there is one, is a constant of one number for each output.
std::optional<Layer> findProduct(const ModelGraph &model, const onnx::NodeProto &node);

/// Lists the streams that layers write and norms read, in the order of their first norms. `model` has no norms that add (splitSkips).
std::vector<Stream> findStreams(const ModelGraph &model);

} // namespace onager::compress

#endif
