// What ONNX's operator schemas know: which operators exist and the function bodies of those that are composed of others.
#ifndef ONAGER_LIB_IMPORT_READER_SCHEMAS_H
#define ONAGER_LIB_IMPORT_READER_SCHEMAS_H

#include "onnx/onnx_pb.h"
#include <cstdint>
#include <string>
#include <vector>

namespace onager::frontend {

/// What a schema says of one version of an operator.
struct SchemaInfo {
  std::string domain, name; ///< domain "" is ONNX's own
  int64_t since = 0;
  bool hasBody = false;     ///< a function body, perhaps only for some uses
  std::vector<std::string> types; ///< element types that some input may have
};

/// Returns all versions of all operators that have a schema.
std::vector<SchemaInfo> listSchemas();

/// True where the operator exists in this operator set.
bool hasSchema(const std::string &domain, const std::string &op, int64_t opset);

/// Returns why the schema does not allow the node's attributes or its number of inputs and outputs; empty where it does, or is not known.
std::string checkNode(const onnx::NodeProto &node, int64_t opset);

/// True where the schema lets an input be strings; false where the operator has none, but for contributed ones that move elements.
bool acceptsStrings(const onnx::NodeProto &node, int64_t opset, int input);

/// Returns the newest version of ONNX's own operator set that is known.
int64_t getNewestOpset();

/// Finds the function body of a node's operator. `inputTypes` has one entry per input, empty where absent. Attributes that the node leaves out
/// are filled in with their defaults in `filled`. Returns false where the schema has no body for this use.
bool getFunctionBody(const onnx::NodeProto &node, int64_t opset, const std::vector<onnx::TypeProto> &inputTypes, onnx::NodeProto &filled,
                     onnx::FunctionProto &body);

} // namespace onager::frontend

#endif
