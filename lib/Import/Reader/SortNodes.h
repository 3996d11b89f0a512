// Nodes in an order in which every value is made before it is read, which ONNX asks for and not every tool keeps.
#ifndef ONAGER_LIB_IMPORT_READER_SORTNODES_H
#define ONAGER_LIB_IMPORT_READER_SORTNODES_H

#include "onnx/onnx_pb.h"

namespace onager::frontend {

/// Moves nodes of the graph, of its subgraphs and of the functions behind those whose values they read. Nodes keep their order where nothing speaks
/// against it; those of a cycle come last.
void sortNodes(onnx::ModelProto &model);

} // namespace onager::frontend

#endif
