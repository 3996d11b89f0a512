// Operators of the application: the process's list of them, and calls of their functions for the nodes of a model.
#ifndef ONAGER_RUNTIME_CORE_OPERATORS_H
#define ONAGER_RUNTIME_CORE_OPERATORS_H

#include "runtime/core/model.h"
#include "runtime/core/operatornode.h"
#include "runtime/core/strings.h"
#include <vector>

namespace onager::rt {

/// Adds a copy of an operator to the process's list, in the place of the one with the same domain, type and first version.
Outcome registerOperator(const onager_operator &op);
/// Registers the operators of a shared library.
Outcome loadOperators(const char *path);
/// Returns the operator that is number `index` of the list, null behind the last. It is never freed.
const onager_operator *getOperator(size_t index);
/// Returns the operator with the greatest first version up to `version`, or null. It is never freed.
const onager_operator *findOperator(const std::string &domain, const std::string &type, int64_t version);

/// The calls of one run: one at a time. Memory is kept from call to call.
class OperatorCalls {
public:
  OperatorCalls(const onager_allocator &allocator, StringTable &strings);
  OperatorCalls(const OperatorCalls &) = delete;
  ~OperatorCalls() { releaseAll(); }
  /// Asks for the results' extents and puts those that the compiler did not know into `symbols`, in order. False with a message where the operator
  /// refuses or contradicts what it said before.
  bool infer(const OperatorNode &node, const onager_view *in, int64_t *symbols);
  /// Computes the node's outputs.
  bool run(const OperatorNode &node, const onager_view *in, const onager_view *out);
  /// Why the last call failed.
  const std::string &message() const { return text; }

private:
  struct Call : onager_call {
    OperatorCalls *owner;
  };
  static void *allocate(onager_call *call, size_t bytes);
  static void fail(onager_call *call, const char *message);
  bool begin(const OperatorNode &node, const onager_view *in);
  bool end(const OperatorNode &node, bool isFine);
  bool copyTexts(const onager_view &view, onager_tensor &tensor);
  bool checkResult(const OperatorNode &node, size_t index, int64_t *&symbols);
  bool internTexts(const onager_view &view, const onager_tensor &tensor);
  void releaseAll();

  struct Scratch {
    void *memory;
    size_t bytes;
  };
  const onager_allocator &allocator;
  StringTable &strings;
  Call call{};
  std::vector<onager_tensor> inputs, outputs;
  std::vector<onager_result> results;
  std::vector<Scratch> scratch;
  std::string text;
};

} // namespace onager::rt

#endif
