// Onager's runtime for C++17 and later: owners and exceptions over api.h, header only.
//
//   onager::Session session("model.so");
//   onager::Context context(session);
//   std::vector<float> pixels(64);
//   onager::Outputs outputs = context.run({onager::Tensor(pixels.data(), {1, 64})});
//   const float *scores = outputs[0].data<float>();
//
// A Session may be used by any number of threads, a Context by one at a time; a Context must not outlive its Session. Outputs that the
// context owns are valid until its next run.
#ifndef ONAGER_RT_ONAGER_HPP
#define ONAGER_RT_ONAGER_HPP

#include "onager-rt/api.h"
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace onager {

/// Says what the runtime refused: its status and its one line.
class Error : public std::runtime_error {
public:
  explicit Error(onager_status status) : std::runtime_error(onager_last_error()), code(status) {}
  onager_status status() const noexcept { return code; }

private:
  onager_status code;
};

/// Throws Error for any status but ONAGER_OK.
inline void check(onager_status status) {
  if (status != ONAGER_OK)
    throw Error(status);
}

/// Maps a C++ type to ONNX's number of it.
template <typename T> struct TypeOf;
template <> struct TypeOf<float> { static constexpr onager_dtype value = ONAGER_F32; };           ///< float
template <> struct TypeOf<double> { static constexpr onager_dtype value = ONAGER_F64; };          ///< double
template <> struct TypeOf<bool> { static constexpr onager_dtype value = ONAGER_BOOL; };           ///< bool
template <> struct TypeOf<std::int8_t> { static constexpr onager_dtype value = ONAGER_I8; };      ///< int8
template <> struct TypeOf<std::int16_t> { static constexpr onager_dtype value = ONAGER_I16; };    ///< int16
template <> struct TypeOf<std::int32_t> { static constexpr onager_dtype value = ONAGER_I32; };    ///< int32
template <> struct TypeOf<std::int64_t> { static constexpr onager_dtype value = ONAGER_I64; };    ///< int64
template <> struct TypeOf<std::uint8_t> { static constexpr onager_dtype value = ONAGER_U8; };     ///< uint8
template <> struct TypeOf<std::uint16_t> { static constexpr onager_dtype value = ONAGER_U16; };   ///< uint16
template <> struct TypeOf<std::uint32_t> { static constexpr onager_dtype value = ONAGER_U32; };   ///< uint32
template <> struct TypeOf<std::uint64_t> { static constexpr onager_dtype value = ONAGER_U64; };   ///< uint64
template <> struct TypeOf<onager_string> { static constexpr onager_dtype value = ONAGER_STRING; }; ///< string

/// A dense row-major tensor in memory that somebody else owns.
class Tensor {
public:
  /// Describes memory of a C++ type.
  template <typename T>
  Tensor(T *data, std::vector<std::int64_t> dims)
      : Tensor(TypeOf<std::remove_const_t<T>>::value, const_cast<std::remove_const_t<T> *>(data), std::move(dims)) {}
  /// Describes memory of any element type.
  Tensor(onager_dtype dtype, void *data, std::vector<std::int64_t> dims) : elementType(dtype), memory(data), extents(std::move(dims)) {}

  onager_dtype dtype() const noexcept { return elementType; }
  const std::vector<std::int64_t> &dims() const noexcept { return extents; }
  /// Returns the number of elements.
  std::int64_t size() const noexcept {
    std::int64_t count = 1;
    for (std::int64_t extent : extents)
      count *= extent;
    return count;
  }
  std::uint64_t bytes() const noexcept { return static_cast<std::uint64_t>(size()) * onager_dtype_bytes(elementType); }
  /// Returns the memory without looking at the type.
  void *raw() const noexcept { return memory; }
  /// Returns the elements; throws where the tensor has another type.
  template <typename T> T *data() const {
    if (TypeOf<std::remove_const_t<T>>::value != elementType)
      throw std::logic_error("the tensor has element type " + std::to_string(elementType));
    return static_cast<T *>(memory);
  }
  /// Returns the C form, which refers to this tensor's dims.
  onager_tensor view() const noexcept {
    return {sizeof(onager_tensor), elementType, static_cast<std::int32_t>(extents.size()), 0, memory, extents.data(), bytes()};
  }

private:
  onager_dtype elementType;
  void *memory;
  std::vector<std::int64_t> extents;
};

/// What a run computed, in the signature's order.
using Outputs = std::vector<Tensor>;

/// An input or output of the signature; -1 in dims stands for what is not fixed, dim_names then holds its symbol or expression. Tensors of one sequence, map
/// or optional share its name, `value`, and its form (values.hpp); of a tensor that stands for itself both are empty.
struct Info {
  std::string name;
  onager_dtype dtype;
  std::vector<std::int64_t> dims;
  std::vector<std::string> dim_names;
  std::string value, form;
};

/// A loaded model: code, weights, threads.
class Session {
public:
  /// Opens an artifact; `threads` of a run, 0 for as many as the process may use.
  explicit Session(const std::string &path, int threads = 0) {
    onager_options options{};
    options.size = sizeof options;
    options.threads = threads;
    onager_session *opened = nullptr;
    check(onager_session_open(path.c_str(), &options, &opened));
    handle.reset(opened);
  }
  /// Opens an artifact with all that the C API offers: memory, threads and a log of the caller's.
  Session(const std::string &path, const onager_options &options) {
    onager_session *opened = nullptr;
    check(onager_session_open(path.c_str(), &options, &opened));
    handle.reset(opened);
  }
  /// Opens a model that is linked into the program.
  explicit Session(const onager_model &model, const void *weights = nullptr, int threads = 0) {
    onager_options options{};
    options.size = sizeof options;
    options.threads = threads;
    onager_session *opened = nullptr;
    check(onager_session_open_model(&model, weights, &options, &opened));
    handle.reset(opened);
  }

  std::vector<Info> inputs() const { return describe(onager_session_inputs(get()), onager_session_input); }
  std::vector<Info> outputs() const { return describe(onager_session_outputs(get()), onager_session_output); }
  int threads() const noexcept { return onager_session_threads(get()); }
  /// Has a variant made for inputs of these shapes, and of their values where these decide; with `wait`, returns when it runs.
  void warmUp(const std::vector<Tensor> &inputs, bool wait = true) {
    std::vector<onager_tensor> views;
    for (const Tensor &tensor : inputs)
      views.push_back(tensor.view());
    check(onager_session_warm_up(get(), views.data(), views.size(), wait));
  }
  /// Neither makes nor gives up variants from here on.
  void freeze() { check(onager_session_freeze(get())); }
  /// Writes an artifact that has the session's variants of the moment.
  void exportTo(const std::string &path) const { check(onager_session_export(get(), path.c_str())); }
  /// Returns what the session counts.
  onager_stats stats() const {
    onager_stats stats{};
    stats.size = sizeof stats;
    check(onager_session_stats(get(), &stats));
    return stats;
  }
  /// Returns the C handle, which stays this session's.
  onager_session *get() const noexcept { return handle.get(); }

private:
  template <typename Describe> std::vector<Info> describe(std::size_t count, Describe one) const {
    std::vector<Info> result;
    for (std::size_t k = 0; k < count; ++k) {
      onager_info info{};
      info.size = sizeof info;
      check(one(get(), k, &info));
      result.push_back({info.name, static_cast<onager_dtype>(info.dtype), {info.dims, info.dims + info.rank}, {info.dim_names, info.dim_names + info.rank},
                        info.value, info.form});
    }
    return result;
  }

  struct Close {
    void operator()(onager_session *session) const noexcept { onager_session_close(session); }
  };
  std::unique_ptr<onager_session, Close> handle;
};

/// The memory of one run at a time.
class Context {
public:
  explicit Context(const Session &session) : outputCount(onager_session_outputs(session.get())) {
    onager_context *made = nullptr;
    check(onager_context_create(session.get(), &made));
    handle.reset(made);
  }

  /// Runs the model; the outputs are the context's, valid until its next run.
  Outputs run(const std::vector<Tensor> &inputs) {
    std::vector<onager_tensor> views = viewAll(inputs);
    std::vector<onager_tensor> results(outputCount, onager_tensor{sizeof(onager_tensor), 0, 0, 0, nullptr, nullptr, 0});
    check(onager_context_run(get(), views.data(), views.size(), results.data(), results.size()));
    Outputs outputs;
    for (const onager_tensor &result : results)
      outputs.emplace_back(static_cast<onager_dtype>(result.dtype), result.data, std::vector<std::int64_t>(result.dims, result.dims + result.rank));
    return outputs;
  }
  /// Runs the model into the caller's memory, one tensor for each output.
  void run(const std::vector<Tensor> &inputs, const std::vector<Tensor> &outputs) {
    std::vector<onager_tensor> views = viewAll(inputs), results = viewAll(outputs);
    check(onager_context_run(get(), views.data(), views.size(), results.data(), results.size()));
  }
  /// Ends the run in progress, or the next one, with an Error of status ONAGER_CANCELLED. May be called by any thread.
  void cancel() noexcept { onager_context_cancel(get()); }
  /// Ends later runs that take longer, with an Error of status ONAGER_TOO_LATE; 0: none.
  void setDeadline(double seconds) { check(onager_context_set_deadline(get(), seconds)); }
  /// Keeps, with `on`, to the variants that are there now.
  void pin(bool on) { check(onager_context_pin(get(), on)); }
  /// Keeps to the variants that a pinned context of the same model keeps to.
  void pinLike(const Context &pinned) { check(onager_context_pin_like(get(), pinned.get())); }
  /// Returns the bytes that a run on inputs of these types and shapes needs; their data is not looked at.
  std::uint64_t queryMemory(const std::vector<Tensor> &inputs) {
    std::vector<onager_tensor> views = viewAll(inputs);
    std::uint64_t bytes = 0;
    check(onager_context_query_memory(get(), views.data(), views.size(), &bytes));
    return bytes;
  }
  /// Returns the bytes that the context holds.
  std::uint64_t memory() const noexcept { return onager_context_memory(get()); }
  /// Returns the C handle, which stays this context's.
  onager_context *get() const noexcept { return handle.get(); }

private:
  static std::vector<onager_tensor> viewAll(const std::vector<Tensor> &tensors) {
    std::vector<onager_tensor> views;
    for (const Tensor &tensor : tensors)
      views.push_back(tensor.view());
    return views;
  }

  struct Destroy {
    void operator()(onager_context *context) const noexcept { onager_context_destroy(context); }
  };
  std::size_t outputCount;
  std::unique_ptr<onager_context, Destroy> handle;
};

} // namespace onager

#endif
