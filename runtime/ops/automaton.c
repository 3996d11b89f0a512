/* automaton(x, table, classes, accepting) -> y: whether each text is a word of a deterministic automaton, byte by byte.
 *
 * table [states, classes] i32: the next state, or -1; classes [256] i32: the class of each byte; accepting [states] i32. State 0 is the first. */
#include "runtime/ops/ops.h"

ONAGER_KERNEL(automaton) {
  (void)ins, (void)outs, (void)params, (void)symbols;
  const int64_t *x = in[0].data;
  const int32_t *table = in[1].data, *classes = in[2].data, *accepting = in[3].data;
  int64_t width = in[1].dims[1];
  char *y = out[0].data;
  for (int64_t k = 0, n = product(in[0].dims, 0, in[0].rank); k < n; ++k) {
    int64_t bytes = 0;
    const char *text = run->host->text(run, x[k], &bytes);
    if (!text)
      return 1;
    int32_t state = 0;
    for (int64_t at = 0; at < bytes && state >= 0; ++at)
      state = table[state * width + classes[(unsigned char)text[at]]];
    y[k] = state >= 0 && accepting[state];
  }
  return 0;
}
