/* Prints the signature of a compiled model.
 *
 * Usage: describe MODEL.so */
#include "onager-rt/api.h"
#include <inttypes.h>
#include <stdio.h>

/* Prints "name: type 1, [batch, 224]": dims that are not fixed by the name of their symbol. */
static void print_info(const onager_info *info) {
  printf("  %s: type %d, [", info->name, info->dtype);
  for (int32_t k = 0; k < info->rank; ++k) {
    fputs(k ? ", " : "", stdout);
    if (info->dims[k] < 0)
      printf("%s", info->dim_names[k]);
    else
      printf("%" PRId64, info->dims[k]);
  }
  printf("]\n");
}

int main(int argc, char **argv) {
  onager_session *session = NULL;
  if (argc != 2)
    return fprintf(stderr, "usage: describe MODEL.so\n"), 2;
  if (onager_session_open(argv[1], NULL, &session))
    return fprintf(stderr, "describe: %s\n", onager_last_error()), 1;
  onager_info info = {.size = sizeof info};
  printf("inputs\n");
  for (size_t k = 0; k < onager_session_inputs(session); ++k)
    if (!onager_session_input(session, k, &info))
      print_info(&info);
  printf("outputs\n");
  for (size_t k = 0; k < onager_session_outputs(session); ++k)
    if (!onager_session_output(session, k, &info))
      print_info(&info);
  onager_session_close(session);
  return 0;
}
