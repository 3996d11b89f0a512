/* A library of custom operators, for `onager compile M.onnx --operators=liboperators.so` and onager_operators_load.
 *
 *   example::ScaledSum(x, y [optional]) -> sum      scale: float; x + scale * y, or scale * x where there is no y
 *   example::Positive(x) -> values                  the positive elements of a vector, in order: their number is found while running
 */
#include "onager-rt/operators.h"
#include <stdlib.h>
#include <string.h>

static float get_scale(const onager_call *call) {
  for (uint32_t k = 0; k < call->node->attribute_count; ++k) {
    const onager_attribute *attribute = &call->node->attributes[k];
    if (!strcmp(attribute->name, "scale") && attribute->type == ONAGER_ATTRIBUTE_FLOAT)
      return *attribute->floats;
  }
  return 1;
}

static int64_t count_elements(const onager_tensor *tensor) {
  int64_t count = 1;
  for (int32_t d = 0; d < tensor->rank; ++d)
    count *= tensor->dims[d];
  return count;
}

static int32_t refuse(onager_call *call, const char *message) {
  call->fail(call, message);
  return 1;
}

static int32_t infer_scaled_sum(onager_call *call) {
  if (call->input_count < 1 || call->output_count != 1)
    return refuse(call, "expected one or two inputs and one output");
  const onager_tensor *x = &call->inputs[0], *y = call->input_count > 1 && call->inputs[1].dtype ? &call->inputs[1] : NULL;
  if (x->dtype != ONAGER_F32 || (y && y->dtype != ONAGER_F32))
    return refuse(call, "expected float32");
  /* Extents that are not fixed are negative numbers, equal ones for equal extents. */
  if (y && (x->rank != y->rank || memcmp(x->dims, y->dims, (size_t)x->rank * sizeof *x->dims)))
    return refuse(call, "expected x and y of one shape");
  call->results[0].dtype = ONAGER_F32;
  call->results[0].rank = x->rank;
  for (int32_t d = 0; d < x->rank; ++d)
    call->results[0].dims[d] = x->dims[d];
  return 0;
}

static int32_t run_scaled_sum(onager_call *call) {
  const float *x = call->inputs[0].data, *y = call->input_count > 1 ? call->inputs[1].data : NULL;
  float *sum = call->outputs[0].data, scale = get_scale(call);
  for (int64_t k = 0, count = count_elements(&call->inputs[0]); k < count; ++k)
    sum[k] = y ? x[k] + scale * y[k] : scale * x[k];
  return 0;
}

static int32_t infer_positive(onager_call *call) {
  if (call->input_count != 1 || call->output_count != 1 || call->inputs[0].dtype != ONAGER_F32 || call->inputs[0].rank != 1)
    return refuse(call, "expected one vector of float32 and one output");
  call->results[0].dtype = ONAGER_F32;
  call->results[0].rank = 1;
  call->results[0].dims[0] = -1;
  if (call->is_compiling)
    return 0;
  const float *x = call->inputs[0].data;
  call->results[0].dims[0] = 0;
  for (int64_t k = 0; k < call->inputs[0].dims[0]; ++k)
    call->results[0].dims[0] += x[k] > 0;
  return 0;
}

static int32_t run_positive(onager_call *call) {
  const float *x = call->inputs[0].data;
  float *values = call->outputs[0].data;
  for (int64_t k = 0; k < call->inputs[0].dims[0]; ++k)
    if (x[k] > 0)
      *values++ = x[k];
  return 0;
}

const onager_operator *const *onager_operators(void) {
  static const onager_operator scaled_sum = {sizeof scaled_sum, 1, "example", "ScaledSum", NULL, infer_scaled_sum, run_scaled_sum};
  static const onager_operator positive = {sizeof positive, 1, "example", "Positive", NULL, infer_positive, run_positive};
  static const onager_operator *const all[] = {&scaled_sum, &positive, NULL};
  return all;
}
