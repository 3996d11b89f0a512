// Models made of two that compute values of the same names.
//
//   plain   x -> Conv(w) -> c -> Relu -> r -> Conv(v) -> y
//   other   x -> Q -> DQ -> Conv(w') -> c -> Relu -> r -> Q -> DQ -> Conv(v') -> y
//
// c, r and y are shared; what depends on constants alone is not. What computes a shared value from others is its layer, constants included: that of y is Conv(v) in one model and Q -> DQ -> Conv(v') in the
// other. Any choice of layers is a model, whose values of different types are cast where one model's layer reads the other's.
#ifndef ONAGER_TOOLS_VERIFY_MIXEDMODEL_H
#define ONAGER_TOOLS_VERIFY_MIXEDMODEL_H

#include "onnx/onnx_pb.h"
#include "tools/onager/Artifact.h"
#include <map>
#include <set>

namespace onager::cli {

class MixedModel {
public:
  /// Reads both models. Fails where one is none, or their operator sets differ in what both use.
  MixedModel(const ModelSource &plain, const ModelSource &other);

  /// The shared values that depend on inputs, in the order in which the other model computes them.
  const std::vector<std::string> &getShared() const { return shared; }
  /// The model whose layers of chosen values are the other model's.
  std::string mix(const std::vector<bool> &fromOther) const;
  /// The nodes of a value's layer, the last first.
  std::vector<const onnx::NodeProto *> getLayer(const std::string &value, bool ofOther) const;
  /// Constants that both layers of a value read by the same name, with different elements.
  std::vector<std::string> findChangedConstants(const std::string &value) const;

  /// One of the two models, by name of value.
  struct Part {
    onnx::ModelProto model;
    std::map<std::string, const onnx::NodeProto *> producers;
    std::map<std::string, const onnx::TensorProto *> constants;
    std::map<std::string, int32_t> types; ///< element types, where they are known
    std::set<std::string> varying;        ///< values that depend on inputs
  };

private:
  Part plain, other;
  std::vector<std::string> shared;
  std::set<std::string> sharedSet;
};

} // namespace onager::cli

#endif
