// The functions of a model, and how much they may become.
#ifndef ONAGER_LIB_IMPORT_ONNXTOGRAPH_FUNCTIONS_H
#define ONAGER_LIB_IMPORT_ONNXTOGRAPH_FUNCTIONS_H

#include "llvm/ADT/StringMap.h"
#include "onnx/onnx_pb.h"
#include <string>

namespace onager::frontend {

/// Function bodies nested deeper than this are taken for a cycle.
inline constexpr unsigned kMaxFunctionDepth = 64;
/// Names a function in the map of all of them.
std::string getFunctionKey(llvm::StringRef domain, llvm::StringRef name, llvm::StringRef overload);
/// True where a graph's calls of functions, each replaced by the function's body, are more nodes than a model may have (2^18).
bool areFunctionsTooLarge(const onnx::GraphProto &graph, const llvm::StringMap<const onnx::FunctionProto *> &functions);

} // namespace onager::frontend

#endif
