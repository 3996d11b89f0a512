// What a C program needs to know of a linked model.
#include "lib/Export/LLVMToArtifact/Header.h"
#include "llvm/ADT/StringExtras.h"

namespace onager {

/// The line of an input or output in the header's comment. Names come from the model, so they must not end the comment.
static std::string formatTensor(const rt::Manifest &manifest, const rt::TensorInfo &info) {
  std::string text = info.name + ": type " + std::to_string(info.dtype) + " [";
  for (size_t k = 0; k < info.dims.size(); ++k)
    text += (k ? ", " : "") + info.dims[k].print(manifest.symbols);
  text += "]";
  for (size_t k = 0; k < text.size(); ++k)
    if (!llvm::isPrint(text[k]) || (text[k] == '/' && k && text[k - 1] == '*'))
      text[k] = '_';
  return text;
}

static std::string formatTensors(const rt::Manifest &manifest, const std::vector<rt::TensorInfo> &tensors) {
  std::string text;
  for (const rt::TensorInfo &info : tensors)
    text += " *   " + formatTensor(manifest, info) + "\n";
  return text;
}

static constexpr const char *kLinked = R"(
/* Opens the model. `options` may be NULL. */
static inline onager_status @_open(const onager_options *options, onager_session **session) {
  return onager_session_open_model(&@_model, NULL, options, session);
}
)";

static constexpr const char *kSeparate = R"(
/* Opens the model with its file of weights, which the compiler wrote beside the object. `options` may be NULL. */
static inline onager_status @_open(const char *weights_path, const onager_options *options, onager_session **session) {
  onager_options chosen = {sizeof chosen};
  if (options)
    chosen = *options;
  chosen.weights_path = weights_path;
  return onager_session_open_model(&@_model, NULL, &chosen, session);
}
)";

static constexpr const char *kOpening = R"( */
#ifndef ONAGER_MODEL_@_H
#define ONAGER_MODEL_@_H

#include "onager-rt/api.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The model, as onager_session_open_model takes it. */
extern const onager_model @_model;
)";

static constexpr const char *kClosing = R"(
#ifdef __cplusplus
}
#endif

#endif
)";

/// Returns a template with the model's name in the place of each @.
static std::string fill(const std::string &text, const std::string &name) {
  std::string result;
  for (char c : text)
    if (c == '@')
      result += name;
    else
      result += c;
  return result;
}

std::string formatHeader(const rt::Manifest &manifest, bool separateWeights) {
  std::string text = "/* The compiled model `" + manifest.name + "`. Link it and Onager's runtime (-lonager-rt). Types are those of onager_dtype.\n *\n";
  text += " * Inputs:\n" + formatTensors(manifest, manifest.inputs) + " * Outputs:\n" + formatTensors(manifest, manifest.outputs);
  return text + fill(std::string(kOpening) + (separateWeights ? kSeparate : kLinked) + kClosing, manifest.name);
}

} // namespace onager
