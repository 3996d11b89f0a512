/* Operators of the application: kernels for nodes by domain and name, beside or in the place of those that the compiler knows.
 *
 * Conventions, beside those of api.h
 *  1. An operator has two functions. `infer` tells types and shapes of a node's outputs: the compiler asks it, and the runtime asks it again, before the
 *     node runs, where the compiler was left without an extent. `run` computes the outputs. A model may be compiled in one process and run in another:
 *     each registers the operator.
 *  2. One thread of a run calls them; runs at the same time call them at the same time.
 *  3. They must not throw, and must not keep what a call points to. They need no function of this library: what they call comes with the call.
 *  4. Registered operators stay until the process ends. One that is registered again replaces the former for sessions opened later.
 */
#ifndef ONAGER_RT_OPERATORS_H
#define ONAGER_RT_OPERATORS_H

#include "onager-rt/api.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Dims of a tensor that an operator may read or write, at most. */
#define ONAGER_MAX_RANK 16

/* Types of attributes; the numbers are those of ONNX's AttributeProto.AttributeType. */
typedef enum onager_attribute_type {
  ONAGER_ATTRIBUTE_FLOAT = 1, ONAGER_ATTRIBUTE_INT = 2, ONAGER_ATTRIBUTE_STRING = 3, ONAGER_ATTRIBUTE_TENSOR = 4,
  ONAGER_ATTRIBUTE_FLOATS = 6, ONAGER_ATTRIBUTE_INTS = 7, ONAGER_ATTRIBUTE_STRINGS = 8
} onager_attribute_type;

/* An attribute of a node. Of floats, ints, strings and tensor the one that `type` speaks of is set. */
typedef struct onager_attribute {
  uint32_t size;
  int32_t type; /* enum onager_attribute_type */
  const char *name;
  uint64_t count; /* of values; 1 of one that is no list */
  const float *floats;
  const int64_t *ints;
  const onager_string *strings;
  const onager_tensor *tensor;
} onager_attribute;

/* A node of the model. */
typedef struct onager_node {
  uint32_t size;
  uint32_t attribute_count;
  const char *domain;
  const char *type;
  const char *name;
  int64_t version; /* of the domain's operator set that the model imports */
  const onager_attribute *attributes;
} onager_node;

/* What `infer` tells about an output. */
typedef struct onager_result {
  int32_t dtype;
  int32_t rank;                  /* at most ONAGER_MAX_RANK */
  int64_t dims[ONAGER_MAX_RANK]; /* compiling: -1 where only a run can tell, or one of the negative numbers of the inputs' dims */
} onager_result;

/* One call of an operator for a node. */
typedef struct onager_call {
  uint32_t size;
  int32_t is_compiling; /* `infer` is asked by the compiler */
  void *user;           /* of the operator */
  const onager_node *node;
  const onager_tensor *inputs; /* dtype 0: absent. While compiling, data is NULL but for integers that are known, and dims that are not fixed are
                                  negative, the same number for the same extent */
  uint64_t input_count;
  onager_result *results; /* `infer` fills these; of outputs that the node leaves out, too */
  onager_tensor *outputs; /* `run` fills their data. Texts must live until it returns */
  uint64_t output_count;
  void *(*allocate)(struct onager_call *call, size_t bytes);   /* memory until the call ends, aligned to ONAGER_ALIGNMENT; NULL where there is none */
  void (*fail)(struct onager_call *call, const char *message); /* keeps why the function is about to return another value than 0 */
} onager_call;

/* An operator. Both functions return 0, or anything else for a node that they cannot work with. */
typedef struct onager_operator {
  uint32_t size;
  int32_t since; /* the first version of the domain's operator set that this one is for; 0 is read as 1 */
  const char *domain;
  const char *type;
  void *user;
  int32_t (*infer)(onager_call *call);
  int32_t (*run)(onager_call *call);
} onager_operator;

/* Makes an operator known to this process. The struct and its strings are copied. Thread-safe. */
ONAGER_API onager_status onager_operator_register(const onager_operator *op);
/* Loads a shared library and registers what its function `onager_operators`, an onager_operators_function, returns. It stays loaded. */
ONAGER_API onager_status onager_operators_load(const char *path);
/* Returns an operator that is registered, NULL behind the last. It stays valid until the process ends. */
ONAGER_API const onager_operator *onager_operator_at(size_t index);

/* Returns the operators of a library, NULL behind the last. */
typedef const onager_operator *const *(*onager_operators_function)(void);

#ifdef __cplusplus
}
#endif
#endif
