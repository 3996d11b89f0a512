/* The contract between a compiled model and the runtime that executes it.
 *
 * Conventions
 *  1. Every struct begins with its size in bytes and only grows at the end; a reader looks at no field beyond `size`.
 *  2. A compiled model has no undefined symbol: all that it calls comes through onager_host.
 *  3. Buffers are row-major and dense. At the address of an empty one ONAGER_ALIGNMENT bytes may be read: positions are clamped, not branched around. Strings are 64-bit numbers of texts. bool, 4- and 2-bit elements take one byte each; 2- and 4-bit integers are sign-
 *     or zero-extended in it, 4-bit floats are in its low bits.
 *  4. A run is a gang of `threads` threads that all call the model's `main` with the same run and their own index,
 *     at the same time. They meet in onager_host.barrier and nowhere else.
 *  5. Nothing here throws. The first error is kept in the run; every thread leaves after the next barrier.
 */
#ifndef ONAGER_RT_ABI_H
#define ONAGER_RT_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this contract; a runtime refuses artifacts of another. */
#define ONAGER_ABI_VERSION 4u

/* Alignment of the arena, of each slot, block and weight, and of inputs and outputs that the runtime owns.
 * Caller's buffers need the alignment of their element only. */
#define ONAGER_ALIGNMENT 64

typedef struct onager_run onager_run;

/* Math functions in double precision, by index in onager_host.math (binary ones in math2). */
enum onager_math {
  ONAGER_ACOS, ONAGER_ACOSH, ONAGER_ASIN, ONAGER_ASINH, ONAGER_ATAN, ONAGER_ATANH, ONAGER_CBRT, ONAGER_COS,
  ONAGER_COSH, ONAGER_ERF, ONAGER_EXP, ONAGER_EXPM1, ONAGER_LGAMMA, ONAGER_LOG, ONAGER_LOG1P, ONAGER_LOG2,
  ONAGER_LOG10, ONAGER_SIN, ONAGER_SINH, ONAGER_TAN, ONAGER_TANH, ONAGER_TGAMMA, ONAGER_EXP2, ONAGER_MATH_COUNT
};
/* Those of two arguments. */
enum onager_math2 { ONAGER_ATAN2, ONAGER_FMOD, ONAGER_POW, ONAGER_MATH2_COUNT };

/* A description of one tensor for the kernels of runtime/ops. Sizes are in elements. */
typedef struct onager_view {
  void *data;
  const int64_t *dims;
  int32_t rank;
  int32_t dtype; /* enum onager_dtype of api.h; the numbers are those of ONNX's TensorProto.DataType */
} onager_view;

/* The code of a launch: computes items [begin, end). Returns 0 or a status for the run. Its arguments are the compiler's. */
typedef int32_t (*onager_unit)(onager_run *run, void **arguments, int64_t begin, int64_t end);

/* What the runtime lends to compiled code. */
typedef struct onager_host {
  uint32_t size;
  uint32_t version; /* ONAGER_ABI_VERSION */
  double (*const *math)(double);
  double (*const *math2)(double, double);
  /* Waits until every thread of the run's gang has arrived; memory written before is visible after. */
  void (*barrier)(onager_run *run, int32_t thread);
  /* Makes blocks[block] hold at least `bytes`; contents are kept when it moves. Thread 0 only, between barriers.
   * Returns 0, or 1 when memory cannot be had (the run's status is then set). */
  int32_t (*grow)(onager_run *run, int32_t block, int64_t bytes);
  /* Scratch memory for kernels of runtime/ops; freed by the caller of allocate. */
  void *(*allocate)(onager_run *run, size_t bytes);
  void (*release)(onager_run *run, void *memory);
  /* Texts of the run, by number; equal texts have equal numbers, those of the manifest's strings come first. One thread at a time. */
  int64_t (*intern)(onager_run *run, const char *text, int64_t bytes);         /* -1: no memory */
  const char *(*text)(onager_run *run, int64_t number, int64_t *bytes);        /* valid until the next intern, change_case or print, to which it may be given; NULL: no such text */
  int64_t (*change_case)(onager_run *run, int64_t number, int32_t is_upper);   /* -1: no memory */
  int64_t (*print)(onager_run *run, int32_t dtype, const void *value);         /* of f32, f64, i64, u64, bool; -1: no memory */
  int32_t (*parse)(onager_run *run, int64_t number, int32_t dtype, void *value); /* as f64, i64 or u64; 1: it is no number */
  /* Nodes of custom operators, by their number in the manifest; views of the inputs that are there. One thread at a time. Return 0, or 1 when the run's
   * status is set. `infer` gives the extents that the manifest calls found. */
  int32_t (*infer)(onager_run *run, int64_t node, const onager_view *in, int64_t *extents);
  int32_t (*call)(onager_run *run, int64_t node, const onager_view *in, const onager_view *out);
  /* Runs the unit of a launch that is executed once in a run on this thread's share of `items`, and on parts of others' shares that are late. Shares are cut
   * between groups of `grain` items, at least 1. Every thread of the gang calls it, with arguments of its own. Returns what a unit returned that was not 0. */
  int32_t (*share)(onager_run *run, int32_t thread, int64_t launch, int64_t items, int64_t grain, onager_unit unit, void **arguments);
} onager_host;

/* One run, shared by its gang. Filled by the runtime before the gang starts. */
struct onager_run {
  uint32_t size;
  int32_t threads;
  const onager_host *host;
  const void *const *inputs;   /* data of each input of the signature */
  void *const *outputs;        /* data of each output; NULL where its shape depends on values (it is a block then) */
  char *arena;
  const int64_t *offsets;      /* byte offset in the arena of each slot of the manifest */
  void **blocks;               /* growable blocks: values whose size is known only while running */
  const char *weights;         /* the weight section */
  int64_t *symbols;            /* value of each symbol; those bound while running are published by thread 0 */
  int32_t status;              /* 0, or 1 + the index of the manifest's error message that was hit first */
  int32_t reserved;
  int64_t error_values[4];     /* operands for that message */
  uint64_t *profile;           /* NULL, or [threads][launches][2] time stamps: begin, end of each launch */
  const char *own_weights;     /* of a variant: the weights that the generic form does not have */
};

/* Runs the model's share of one thread. Returns run->status. */
typedef int32_t (*onager_main)(onager_run *run, int32_t thread);

/* Code for the shapes that the guard in its manifest describes. It uses the weights of the level's generic form, and its own. */
typedef struct onager_variant {
  uint32_t size;
  uint32_t reserved;
  const uint8_t *manifest;
  uint64_t manifest_bytes;
  onager_main main;
  uint64_t weight_start; /* of its own weights, in the weight section */
} onager_variant;

/* One form of a model's code, for processors that have the features in its manifest. */
typedef struct onager_code_level {
  uint32_t size;
  uint32_t reserved;
  const uint8_t *manifest;
  uint64_t manifest_bytes;
  onager_main main;               /* the generic form, for all shapes */
  uint64_t weight_start;          /* of its weights, in the weight section */
  const onager_variant *variants; /* made with the artifact; the entries' distance is their size field */
  uint64_t variant_count;
  const uint8_t *recipes;         /* how the weights were made, so that variants made later find them; NULL where none can be */
  uint64_t recipe_bytes;
} onager_code_level;

/* What the one exported symbol of an artifact, `<name>_model`, points to. */
typedef struct onager_model {
  uint32_t size;
  uint32_t abi; /* ONAGER_ABI_VERSION */
  const uint8_t *manifest;
  uint64_t manifest_bytes;
  onager_main main;
  const char *weights; /* NULL where the weights lie behind the code in the file */
  /* All levels, the most general, which the fields above hold as well, first. The last whose features a processor has is run. The entries' distance
     is their size field. Models whose size ends before these fields have one level. */
  const onager_code_level *levels;
  uint64_t level_count;
  const uint8_t *generic; /* the model as the compiler makes variants of it; NULL where it was left out */
  uint64_t generic_bytes;
} onager_model;

#ifdef __cplusplus
}
#endif
#endif
