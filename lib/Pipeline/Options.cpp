// Options by name, for callers that have them as text.
#include "lib/Pipeline/PassFilter.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringRef.h"
#include "onager/Compiler.h"

using llvm::StringRef;

namespace onager {

static bool isStage(StringRef name) {
#define STAGE(stage, leaves) if (name == #stage) return true;
#include "lib/Pipeline/Stages.def"
#undef STAGE
  return false;
}

/// Reads NAME=1x3x224x224; nothing behind the sign is the shape of a scalar.
static bool setShape(CompileOptions &options, StringRef value, std::string &error) {
  auto [name, dims] = value.rsplit('=');
  llvm::SmallVector<StringRef> parts;
  if (!dims.empty() || !value.contains('='))
    dims.split(parts, 'x');
  std::vector<int64_t> shape;
  for (StringRef part : parts) {
    int64_t extent;
    if (part.getAsInteger(10, extent) || extent < 0) {
      error = "option 'shape': expected NAME=1x3x224x224, found '" + value.str() + "'";
      return false;
    }
    shape.push_back(extent);
  }
  options.shapes[name.str()] = shape;
  return true;
}

static bool setFlag(bool &flag, StringRef key, StringRef value, std::string &error) {
  if (value == "true" || value == "1" || value == "True")
    flag = true;
  else if (value == "false" || value == "0" || value == "False")
    flag = false;
  else
    error = "option '" + key.str() + "': expected true or false, found '" + value.str() + "'";
  return error.empty();
}

/// Reads `all` or positions, separated by commas.
static bool setExposed(CompileOptions &options, StringRef value, std::string &error) {
  options.exposeAll = value == "all";
  llvm::SmallVector<StringRef> parts;
  value.split(parts, ',');
  for (StringRef part : parts) {
    int64_t position = 0;
    if (options.exposeAll)
      break;
    if (part.getAsInteger(10, position) || position < 0)
      error = "option 'expose': expected all or positions like 3,7, found '" + value.str() + "'";
    options.exposed.push_back(position);
  }
  return error.empty();
}

static bool setLevel(CompileOptions &options, StringRef value, std::string &error) {
  StringRef digits = value;
  digits.consume_front("O");
  if (digits.getAsInteger(10, options.optLevel) || options.optLevel < 0 || options.optLevel > 3)
    error = "option 'opt-level': expected 0 to 3, found '" + value.str() + "'";
  return error.empty();
}

/// Reads N or N:M, runs of passes and rewrites of the last of them.
static bool setPassLimit(CompileOptions &options, StringRef value, std::string &error) {
  auto [passes, rewrites] = value.split(':');
  bool isBad = passes.getAsInteger(10, options.passLimit) || options.passLimit < 0;
  options.rewriteLimit = -1;
  if (value.contains(':'))
    isBad |= rewrites.getAsInteger(10, options.rewriteLimit) || options.rewriteLimit < 0;
  if (isBad)
    error = "option 'pass-limit': expected a number of passes, N, or of passes and of rewrites of the last, N:M, found '" + value.str() + "'";
  return error.empty();
}

static bool addSkippedPass(CompileOptions &options, StringRef value, std::string &error) {
  options.skippedPasses.push_back(value.str());
  if (!llvm::is_contained(getOptionalPasses(), value))
    error = "option 'skip-pass': '" + value.str() + "' is no optional pass; expected one of " + llvm::join(getOptionalPasses(), ", ");
  return error.empty();
}

/// Sets a text option that takes one of a few values.
static bool setChoice(std::string &field, StringRef key, StringRef value, llvm::ArrayRef<StringRef> choices, std::string &error) {
  field = value.str();
  if (!llvm::is_contained(choices, value))
    error = "option '" + key.str() + "': expected one of " + llvm::join(choices, ", ") + ", found '" + value.str() + "'";
  return error.empty();
}

bool setOption(CompileOptions &options, const std::string &rawKey, const std::string &value, std::string &error) {
  std::string key = rawKey;
  std::replace(key.begin(), key.end(), '_', '-');
  error.clear();
  if (key == "target")
    return setChoice(options.target, key, value, {"native", "portable", "x86-64-v2", "x86-64-v3", "x86-64-v4"}, error);
  if (key == "emit")
    return setChoice(options.emit, key, value, {"so", "exe", "obj", "lib", "llvm", "mlir"}, error);
  if (key == "weights")
    return setChoice(options.weights, key, value, {"inside", "separate"}, error);
  if (key == "opt-level" || key == "O")
    return setLevel(options, value, error);
  if (key == "shape")
    return setShape(options, value, error);
  if (key == "skip-pass")
    return addSkippedPass(options, value, error);
  if (key == "pass-limit")
    return setPassLimit(options, value, error);
  if (key == "expose")
    return setExposed(options, value, error);
  for (auto [name, list] : {std::pair("variant", &options.variants), std::pair("dim", &options.dims), std::pair("likely", &options.likely)})
    if (key == name) {
      list->push_back(value);
      return true;
    }
  if (key == "recompile")
    return setFlag(options.recompile, key, value, error);
  if (key == "winograd")
    return setFlag(options.winograd, key, value, error);
  if (key == "sparse")
    return setFlag(options.sparse, key, value, error);
  if (key == "int8")
    return setFlag(options.int8, key, value, error);
  if (key == "bf16")
    return setFlag(options.bf16, key, value, error);
  if (key == "bf16x3")
    return setFlag(options.bf16x3, key, value, error);
  if (key == "sanitize")
    return setFlag(options.sanitize, key, value, error);
  if (key == "verify-each")
    return setFlag(options.verifyEach, key, value, error);
  if (key == "timing")
    return setFlag(options.timing, key, value, error);
  if (key == "print-after") {
    options.printAfter = value;
    return true;
  }
  if (key == "stop-after") {
    options.stopAfter = value;
    if (!isStage(value))
      error = "option 'stop-after': unknown stage '" + value + "'";
    return error.empty();
  }
  if (key == "save-temps") {
    options.saveTemps = value;
    if (value.empty())
      error = "option 'save-temps': expected a folder, found nothing";
    return error.empty();
  }
  if (key == "name") {
    options.name = value;
    bool valid = !value.empty() && !llvm::isDigit(value[0]) && llvm::all_of(value, [](char c) { return llvm::isAlnum(c) || c == '_'; });
    if (!valid)
      error = "option 'name': '" + value + "' is not an identifier";
    return valid;
  }
  error = "unknown option '" + rawKey + "'";
  return false;
}

} // namespace onager
