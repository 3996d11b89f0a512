/* Nodes of custom operators: the runtime finds and calls their functions. params: the node's number in the manifest. */
#include "runtime/ops/ops.h"

/* Binds the extents of the results that the compiler could not know. */
ONAGER_KERNEL(operator_infer) {
  (void)ins, (void)out, (void)outs;
  return run->host->infer(run, params[0], in, symbols);
}

ONAGER_KERNEL(operator_run) {
  (void)ins, (void)outs, (void)symbols;
  return run->host->call(run, params[0], in, out);
}
