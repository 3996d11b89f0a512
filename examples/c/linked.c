/* A model linked into the program: no file is opened. The build makes iris.o and iris.h by `onager compile iris.txt --emit=obj --name=iris -o iris.o`.
 *
 * Usage: linked LENGTH WIDTH LENGTH WIDTH    (of sepal and petal, in centimetres) */
#include "iris.h"
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
  onager_session *session = NULL;
  onager_context *context = NULL;
  float flower[4], scores[3];
  int64_t dims[] = {1, 4};
  if (argc != 5)
    return fprintf(stderr, "usage: linked LENGTH WIDTH LENGTH WIDTH\n"), 2;
  for (int k = 0; k < 4; ++k)
    flower[k] = strtof(argv[k + 1], NULL);
  onager_tensor input = {.size = sizeof input, .dtype = ONAGER_F32, .rank = 2, .data = flower, .dims = dims, .bytes = sizeof flower};
  onager_tensor output = {.size = sizeof output, .data = scores, .bytes = sizeof scores};
  onager_options options = {.size = sizeof options, .threads = 1};
  int failed = iris_open(&options, &session) || onager_context_create(session, &context) || onager_context_run(context, &input, 1, &output, 1);
  if (failed)
    fprintf(stderr, "linked: %s\n", onager_last_error());
  else
    printf("setosa %.3f, versicolor %.3f, virginica %.3f\n", scores[0], scores[1], scores[2]);
  onager_context_destroy(context);
  onager_session_close(session);
  return failed;
}
