// Custom operators for C++17 and later: functions of the application over operators.h, header only.
//
//   onager::registerOperator("my.domain", "Clip",
//       [](const onager::Call &call) { return std::vector<onager::Result>{{call.dtype(0), call.dims(0)}}; },
//       [](const onager::Call &call) { ... call.input<float>(0) ... call.output<float>(0) ... });
//
// Exceptions that leave the functions end the compilation or the run with their text.
#ifndef ONAGER_RT_OPERATORS_HPP
#define ONAGER_RT_OPERATORS_HPP

#include "onager-rt/onager.hpp"
#include "onager-rt/operators.h"
#include <algorithm>
#include <cstring>
#include <functional>

namespace onager {

/// Type and dims of an output; for dims that are not fixed see onager_call.
struct Result {
  onager_dtype dtype;
  std::vector<std::int64_t> dims;
};

/// One call of an operator for a node. Valid while the function runs.
class Call {
public:
  explicit Call(onager_call &call) : call(call) {}

  const onager_node &node() const noexcept { return *call.node; }
  bool isCompiling() const noexcept { return call.is_compiling != 0; }
  std::size_t inputs() const noexcept { return static_cast<std::size_t>(call.input_count); }
  std::size_t outputs() const noexcept { return static_cast<std::size_t>(call.output_count); }
  /// True where an input is given.
  bool has(std::size_t index) const noexcept { return index < inputs() && call.inputs[index].dtype != 0; }
  /// Describe an input; throw where it is absent.
  onager_dtype dtype(std::size_t index) const { return static_cast<onager_dtype>(get(index).dtype); }
  /// As dtype.
  std::vector<std::int64_t> dims(std::size_t index) const { return {get(index).dims, get(index).dims + get(index).rank}; }
  /// Returns an input's elements, null where they are not known while compiling; throws where it is absent or of another type.
  template <typename T> const T *input(std::size_t index) const { return elements<const T>(get(index), "input", index); }
  /// Returns an output's elements, to be filled.
  template <typename T> T *output(std::size_t index) const { return elements<T>(call.outputs[index], "output", index); }
  /// Returns the extents of an output that is to be filled.
  std::vector<std::int64_t> outputDims(std::size_t index) const { return {call.outputs[index].dims, call.outputs[index].dims + call.outputs[index].rank}; }

  /// Return an attribute's value, or the second argument where the node lacks it; throw where it has another type.
  std::int64_t getInt(const char *name, std::int64_t otherwise) const {
    const onager_attribute *found = find(name, ONAGER_ATTRIBUTE_INT);
    return found ? *found->ints : otherwise;
  }
  /// As getInt.
  float getFloat(const char *name, float otherwise) const {
    const onager_attribute *found = find(name, ONAGER_ATTRIBUTE_FLOAT);
    return found ? *found->floats : otherwise;
  }
  /// As getInt.
  std::string getString(const char *name, const std::string &otherwise) const {
    const onager_attribute *found = find(name, ONAGER_ATTRIBUTE_STRING);
    return found ? std::string(found->strings->data, static_cast<std::size_t>(found->strings->bytes)) : otherwise;
  }
  /// As getInt.
  std::vector<std::int64_t> getInts(const char *name, const std::vector<std::int64_t> &otherwise) const {
    const onager_attribute *found = find(name, ONAGER_ATTRIBUTE_INTS);
    return found ? std::vector<std::int64_t>(found->ints, found->ints + found->count) : otherwise;
  }
  /// As getInt.
  std::vector<float> getFloats(const char *name, const std::vector<float> &otherwise) const {
    const onager_attribute *found = find(name, ONAGER_ATTRIBUTE_FLOATS);
    return found ? std::vector<float>(found->floats, found->floats + found->count) : otherwise;
  }
  /// Returns an attribute, null where the node lacks it.
  const onager_attribute *find(const char *name) const noexcept {
    for (std::uint32_t k = 0; k < node().attribute_count; ++k)
      if (std::strcmp(node().attributes[k].name, name) == 0)
        return &node().attributes[k];
    return nullptr;
  }

private:
  const onager_attribute *find(const char *name, onager_attribute_type type) const {
    const onager_attribute *found = find(name);
    if (found && found->type != type)
      throw std::invalid_argument("attribute '" + std::string(name) + "': expected type " + std::to_string(type) + ", found " + std::to_string(found->type));
    return found;
  }
  const onager_tensor &get(std::size_t index) const {
    if (!has(index))
      throw std::invalid_argument("input " + std::to_string(index) + " is missing");
    return call.inputs[index];
  }
  template <typename T> static T *elements(const onager_tensor &tensor, const char *what, std::size_t index) {
    if (tensor.dtype != TypeOf<std::remove_const_t<T>>::value)
      throw std::invalid_argument(what + (" " + std::to_string(index)) + ": expected element type " + std::to_string(TypeOf<std::remove_const_t<T>>::value) + ", found " +
                                  std::to_string(tensor.dtype));
    return static_cast<T *>(tensor.data);
  }

  onager_call &call;
};

/// Tells the outputs of a node, all of them.
using InferFunction = std::function<std::vector<Result>(const Call &)>;
/// Computes the outputs of a node.
using RunFunction = std::function<void(const Call &)>;

namespace detail {

/// What an operator was registered with; `onager_call.user` points to it for as long as the process runs.
struct Functions {
  InferFunction infer;
  RunFunction run;
};

/// Calls a function and turns what it throws into the call's failure.
template <typename Function> std::int32_t guard(onager_call *call, Function function) noexcept {
  try {
    function(Call(*call), *static_cast<Functions *>(call->user));
    return 0;
  } catch (const std::exception &error) {
    call->fail(call, error.what());
  } catch (...) {
    call->fail(call, "an exception of an unknown type");
  }
  return 1;
}

/// The entry that tells the types of a node's outputs: 0, or 1 and a message in the call.
inline std::int32_t infer(onager_call *call) noexcept {
  return guard(call, [call](const Call &view, const Functions &functions) {
    std::vector<Result> results = functions.infer(view);
    if (results.size() != view.outputs())
      throw std::invalid_argument("the operator told of " + std::to_string(results.size()) + " outputs, the node has " + std::to_string(view.outputs()));
    for (std::size_t k = 0; k < results.size(); ++k) {
      if (results[k].dims.size() > ONAGER_MAX_RANK)
        throw std::invalid_argument("output " + std::to_string(k) + " has rank " + std::to_string(results[k].dims.size()));
      call->results[k].dtype = results[k].dtype;
      call->results[k].rank = static_cast<std::int32_t>(results[k].dims.size());
      std::copy(results[k].dims.begin(), results[k].dims.end(), call->results[k].dims);
    }
  });
}

/// The entry that computes a node: 0, or 1 and a message in the call.
inline std::int32_t run(onager_call *call) noexcept {
  return guard(call, [](const Call &view, const Functions &functions) { functions.run(view); });
}

} // namespace detail

/// Makes an operator known to this process, for nodes of its domain's operator set from version `since` on. Thread-safe.
inline void registerOperator(const std::string &domain, const std::string &type, InferFunction infer, RunFunction run, int since = 1) {
  // Sessions call the functions until the process ends.
  auto *functions = new detail::Functions{std::move(infer), std::move(run)};
  onager_operator op{};
  op.size = sizeof op;
  op.since = since;
  op.domain = domain.c_str();
  op.type = type.c_str();
  op.user = functions;
  op.infer = detail::infer;
  op.run = detail::run;
  if (onager_status status = onager_operator_register(&op)) {
    delete functions;
    throw Error(status);
  }
}

/// Returns what this process has registered, for CompileOptions::operators.
inline std::vector<const onager_operator *> listRegistered() {
  std::vector<const onager_operator *> operators;
  while (const onager_operator *op = onager_operator_at(operators.size()))
    operators.push_back(op);
  return operators;
}

} // namespace onager

#endif
