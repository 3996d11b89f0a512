/* Runs a model of one vector in, one vector out: what an application does that carries the runtime alone.
 *
 * Usage: run_only ARTIFACT.so */
#include "onager-rt/api.h"
#include <stdio.h>

int main(int argc, char **argv) {
  onager_session *session = NULL;
  onager_context *context = NULL;
  float x[] = {4, 5, 6};
  int64_t dims[] = {3};
  onager_tensor input = {sizeof input, ONAGER_F32, 1, 0, x, dims, sizeof x}, output = {sizeof output, 0, 0, 0, NULL, NULL, 0};
  if (argc != 2)
    return 2;
  int failed = onager_session_open(argv[1], NULL, &session) || onager_context_create(session, &context) || onager_context_run(context, &input, 1, &output, 1);
  if (failed) {
    fprintf(stderr, "%s\n", onager_last_error());
  } else {
    const float *y = output.data;
    printf("%s: %g %g %g\n", onager_version(), y[0], y[1], y[2]);
  }
  onager_context_destroy(context);
  onager_session_close(session);
  return failed;
}
