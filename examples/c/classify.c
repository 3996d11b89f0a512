/* Classifies iris flowers: one at a time, then three in one run of the same session, then with an input that does not fit.
 *
 * Usage: classify IRIS.so */
#include "onager-rt/api.h"
#include <stdio.h>
#include <stdlib.h>

/* Ends the program with the runtime's message where a call failed. */
static void check(onager_status status) {
  if (status == ONAGER_OK)
    return;
  fprintf(stderr, "classify: %s\n", onager_last_error());
  exit(1);
}

/* Returns the index of the greatest of `count` numbers. */
static int find_greatest(const float *values, int64_t count) {
  int best = 0;
  for (int k = 1; k < count; ++k)
    if (values[k] > values[best])
      best = k;
  return best;
}

/* Runs the model on `flowers` rows of four measurements and prints a line for each. */
static void classify(onager_context *context, const float *measurements, int64_t flowers) {
  static const char *const names[] = {"setosa", "versicolor", "virginica"};
  int64_t dims[] = {flowers, 4};
  onager_tensor input = {.size = sizeof input, .dtype = ONAGER_F32, .rank = 2, .data = (void *)measurements, .dims = dims, .bytes = sizeof(float) * 4 * (size_t)flowers};
  /* Without memory of ours the output is the context's, valid until its next run. */
  onager_tensor output = {.size = sizeof output};
  check(onager_context_run(context, &input, 1, &output, 1));
  const float *probabilities = output.data;
  for (int64_t flower = 0; flower < output.dims[0]; ++flower) {
    const float *row = probabilities + flower * output.dims[1];
    int best = find_greatest(row, output.dims[1]);
    printf("flower %d: %s (%.3f)\n", (int)flower, names[best], row[best]);
  }
}

int main(int argc, char **argv) {
  static const float flowers[] = {5.1f, 3.5f, 1.4f, 0.2f, 5.0f, 2.0f, 3.5f, 1.0f, 6.9f, 3.2f, 5.7f, 2.3f};
  onager_session *session = NULL;
  onager_context *context = NULL;
  if (argc != 2)
    return fprintf(stderr, "usage: classify IRIS.so\n"), 2;
  check(onager_session_open(argv[1], NULL, &session));
  check(onager_context_create(session, &context));

  printf("one flower\n");
  classify(context, flowers, 1);
  printf("three flowers\n");
  classify(context, flowers, 3);

  /* Inputs are checked before anything is written; the context remains usable. */
  int64_t dims[] = {2, 5};
  float wrong[10] = {0};
  onager_tensor input = {.size = sizeof input, .dtype = ONAGER_F32, .rank = 2, .data = wrong, .dims = dims, .bytes = sizeof wrong}, output = {.size = sizeof output};
  onager_status status = onager_context_run(context, &input, 1, &output, 1);
  printf("a wrong shape: status %d, %s\n", (int)status, onager_last_error());

  onager_context_destroy(context);
  onager_session_close(session);
  return 0;
}
