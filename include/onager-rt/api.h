/* Onager's runtime: loads compiled models and runs them. C11; no dependency but libc, libm, libpthread and libdl.
 *
 * Conventions
 *  1. Functions return an onager_status; on failure `onager_last_error()` holds one line about it, for the calling thread, until its
 *     next call. Nothing throws, aborts or prints.
 *  2. Structs that callers fill begin with `size = sizeof(the struct)`; fields only grow at the end, zero means the default.
 *  3. A session (code, weights, threads) may be used by any number of threads at once. A context (the memory of one run) by one
 *     at a time. Contexts must be destroyed before their session.
 *  4. All checks of inputs come before the first write. After a failed run the contents of outputs are unspecified, their descriptors untouched.
 *  5. Outputs must not overlap inputs.
 *  6. Code is loaded from a private copy in memory. Where the environment names a folder in ONAGER_CODE_DIR, the copy is a file there and stays,
 *     so that profilers and debuggers find its symbols: functions and lines carry the names of ONNX nodes.
 */
#ifndef ONAGER_RT_API_H
#define ONAGER_RT_API_H

#include "onager-rt/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Marks what the library exports. */
#if defined(_WIN32)
#define ONAGER_API
#else
#define ONAGER_API __attribute__((visibility("default")))
#endif

/* How a call ended. */
typedef enum onager_status {
  ONAGER_OK = 0,
  ONAGER_BAD_ARGUMENT = 1,  /* a name, type, shape or option that does not fit */
  ONAGER_BAD_FILE = 2,      /* not an artifact, damaged, or not readable */
  ONAGER_BAD_MACHINE = 3,   /* the processor lacks a feature that the code needs */
  ONAGER_OUT_OF_MEMORY = 4,
  ONAGER_RUN_FAILED = 5,    /* a check inside the model failed: an index, a shape */
  ONAGER_CANCELLED = 6,     /* onager_context_cancel was called */
  ONAGER_TOO_LATE = 7       /* the deadline of onager_context_set_deadline has passed */
} onager_status;

/* Element types; the numbers are those of ONNX's TensorProto.DataType. */
typedef enum onager_dtype {
  ONAGER_F32 = 1, ONAGER_U8 = 2, ONAGER_I8 = 3, ONAGER_U16 = 4, ONAGER_I16 = 5, ONAGER_I32 = 6, ONAGER_I64 = 7, ONAGER_STRING = 8, ONAGER_BOOL = 9,
  ONAGER_F16 = 10, ONAGER_F64 = 11, ONAGER_U32 = 12, ONAGER_U64 = 13, ONAGER_BF16 = 16, ONAGER_F8E4M3FN = 17, ONAGER_F8E4M3FNUZ = 18,
  ONAGER_F8E5M2 = 19, ONAGER_F8E5M2FNUZ = 20, ONAGER_U4 = 21, ONAGER_I4 = 22, ONAGER_F4E2M1 = 23, ONAGER_F8E8M0 = 24, ONAGER_U2 = 25, ONAGER_I2 = 26
} onager_dtype;

/* An element of a tensor of strings: any bytes, by convention UTF-8. The runtime does not ask for a 0 at the end. */
typedef struct onager_string {
  const char *data; /* outputs: memory of the context, valid until its next run */
  uint64_t bytes;
} onager_string;

typedef struct onager_session onager_session;
typedef struct onager_context onager_context;

/* Where a session takes the memory of its contexts from: intermediate tensors, outputs and scratch. Called by any thread. Bookkeeping of a few
 * kilobytes, made when sessions and contexts are, comes from malloc. */
typedef struct onager_allocator {
  uint32_t size;
  uint32_t reserved;
  void *user;
  void *(*allocate)(void *user, size_t bytes, size_t alignment); /* NULL where there is no memory */
  void (*release)(void *user, void *memory, size_t bytes, size_t alignment); /* with what allocate was called with */
} onager_allocator;

/* A caller's own threads. */
typedef struct onager_executor {
  uint32_t size;
  int32_t concurrent; /* nonzero promises that all shares of a run run at the same time, whatever else the threads have to do. The shares wait for
                         each other, so that without the promise a run has one share, on the thread that asked for it. */
  void *user;
  /* Calls share(argument, k) for each k in [0, count) and returns when all have returned. */
  void (*run)(void *user, int32_t count, void (*share)(void *argument, int32_t k), void *argument);
} onager_executor;

/* Threads that sessions share. */
typedef struct onager_pool onager_pool;

/* How much a line of the log matters. */
typedef enum onager_level { ONAGER_LOG_WARNING = 1, ONAGER_LOG_INFO = 2, ONAGER_LOG_DEBUG = 3 } onager_level;

/* What a session does about shapes that its inputs have often, where the artifact carries what variants are made of. */
typedef enum onager_recompile {
  ONAGER_RECOMPILE_DEFAULT = 0, /* what the variable ONAGER_RECOMPILE says (off, lazy, eager, frozen), else lazy */
  ONAGER_RECOMPILE_OFF = 1,     /* runs the generic form and the variants of the artifact */
  ONAGER_RECOMPILE_LAZY = 2,    /* has variants made in the background for shapes that are met often enough to pay for them */
  ONAGER_RECOMPILE_EAGER = 3,   /* for every shape, from its first run on */
  ONAGER_RECOMPILE_FROZEN = 4   /* takes what the cache holds when the session is opened, and makes nothing */
} onager_recompile;

/* Something that happened to a variant. */
typedef enum onager_event_kind {
  ONAGER_EVENT_COMPILED = 1, /* it was made, and runs from now on */
  ONAGER_EVENT_LOADED = 2,   /* it came from the cache, when the session was opened or later, where another process had made it */
  ONAGER_EVENT_FAILED = 3,   /* it could not be made; its shapes stay with the generic form */
  ONAGER_EVENT_EVICTED = 4   /* it made room for others, or was no faster */
} onager_event_kind;

/* What happened to a variant; valid during the call that tells of it. */
typedef struct onager_event {
  uint32_t size;
  int32_t kind;
  const char *guard;   /* what it is for, as batch=1,seq=128; valid during the call */
  const char *message; /* why it failed or went; "" otherwise */
  double seconds;      /* that making or loading it took */
} onager_event;

/* How a session gets variants. Zero in a field means its default. */
typedef struct onager_recompilation {
  uint32_t size;
  int32_t mode;            /* onager_recompile */
  int32_t max_variants;    /* besides those of the artifact; 8 */
  int32_t check;           /* nonzero: a new variant must give what the generic form gives on inputs that are drawn for it, before it runs */
  uint64_t max_bytes;      /* of their code and own weights; 256 MiB */
  double max_seconds;      /* that all compilations may take together; 600 */
  const char *compiler;    /* path of `onager`; NULL: the variable ONAGER_COMPILER, beside the runtime, PATH. Copied */
  const char *cache;       /* folder of variants of earlier sessions; NULL: the user's; "": none. Copied */
  void (*event)(void *user, const onager_event *event); /* called by a thread of the session's own, or by the one that opens it */
  void *event_user;
  const char *library;     /* not NULL: compilations run in this process, by the compiler's shared library of this path or, if "", by libonager-specialize.so.0
                              beside the runtime or where the loader finds it. A fault in the compiler is one of the application then, and closing the session
                              waits for a compilation that runs. NULL: what the variable ONAGER_COMPILER_LIBRARY says, if it is set. Copied */
} onager_recompilation;

/* What a session's runs and variants came to so far. */
typedef struct onager_stats {
  uint32_t size;
  int32_t mode;       /* onager_recompile; as it is now */
  uint64_t hits;      /* runs of a variant */
  uint64_t misses;    /* runs of the generic form */
  uint64_t compiled, loaded, failed, evicted;
  uint64_t variants;  /* that are there, those of the artifact included */
  uint64_t variant_bytes; /* of those that are not the artifact's */
  double compile_seconds;
} onager_stats;

/* How to open a session. */
typedef struct onager_options {
  uint32_t size;
  int32_t threads; /* of a run; 0: as many as the process may use */
  const char *weights_path; /* file of weights of a model without them (--weights=separate); NULL: the artifact's path and ".weights" */
  const onager_allocator *allocator; /* NULL: posix_memalign and free. Copied */
  const onager_executor *executor;   /* the caller's threads; NULL: the session's own. Copied */
  onager_pool *pool;                 /* threads shared with other sessions; NULL: the session's own. Not together with `executor` */
  void (*log)(void *user, int32_t level, const char *line); /* gets a line now and then, on any thread; NULL: nobody does */
  void *log_user;
  const onager_recompilation *recompilation; /* NULL: all defaults. Copied */
} onager_options;

/* An input or output of the signature. Strings and arrays live as long as the session. */
typedef struct onager_info {
  uint32_t size;
  const char *name;
  int32_t dtype;
  int32_t rank;
  const int64_t *dims;          /* -1 where not fixed */
  const char *const *dim_names; /* the symbol or expression of a dim that is not fixed, "" of others */
  /* A sequence, map or optional is several tensors in a row, which share these two; of a tensor that stands for itself they are "".
       sequence:       ranks [n], dims [sum of ranks], data: its tensors' elements, one after another
       optional(form): present [] of bool, then what the form has
       map:            keys [n], values [n]
       sequence(map):  keys [n], values [rows, n] */
  const char *value; /* name of the model's input or output */
  const char *form;
} onager_info;

/* A dense row-major tensor in the caller's memory. 4- and 2-bit elements take a byte each. */
typedef struct onager_tensor {
  uint32_t size;
  int32_t dtype;
  int32_t rank;
  int32_t is_offer;    /* outputs whose shape depends on values: nonzero lets the runtime set `data` to memory of the context where the output turns out
                          larger than `bytes`, which is a failure otherwise */
  void *data;          /* outputs: NULL asks for memory of the context, valid until its next run */
  const int64_t *dims; /* outputs: set by the runtime, valid until the context's next run */
  uint64_t bytes;      /* what `data` has room for */
} onager_tensor;

/* Returns the runtime's version, e.g. "0.1.0". */
ONAGER_API const char *onager_version(void);
/* Returns the line about the calling thread's last failure; never NULL. */
ONAGER_API const char *onager_last_error(void);
/* Bytes of one element, 0 for unknown types. */
ONAGER_API size_t onager_dtype_bytes(int32_t dtype);

/* Makes a pool of threads; 0: as many as the process may use. They start with the first run and sleep when idle. */
ONAGER_API onager_status onager_pool_create(int32_t threads, onager_pool **pool);
/* Gives up a pool; its threads end when the last session that uses it is closed. NULL is fine. */
ONAGER_API void onager_pool_release(onager_pool *pool);

/* Opens an artifact, or a program made by --emit=exe. `options` may be NULL. */
ONAGER_API onager_status onager_session_open(const char *path, const onager_options *options, onager_session **session);
/* The same from memory, which is copied. */
ONAGER_API onager_status onager_session_open_memory(const void *data, size_t bytes, const onager_options *options, onager_session **session);
/* The same for a model that is linked into the program (--emit=obj, --emit=lib); its weights come from `weights`, or the options' file, where not in the object. */
ONAGER_API onager_status onager_session_open_model(const onager_model *model, const void *weights, const onager_options *options, onager_session **session);
/* Opens another session on the code and weights of one that is open; they stay until the last of these sessions is closed. */
ONAGER_API onager_status onager_session_share(onager_session *other, const onager_options *options, onager_session **session);
/* Frees a session; NULL is fine. */
ONAGER_API void onager_session_close(onager_session *session);

/* Has a variant made for inputs of these shapes and, with `wait`, returns when it runs. `data` may be NULL; it is read only where an input's values decide shapes
 * or branches (docs/recompilation.md), and the variant is then for these values. Nothing is to be done for a model whose shapes are fixed and where no
 * values decide. Fails where the session makes no variants, or this one cannot be made. */
ONAGER_API onager_status onager_session_warm_up(onager_session *session, const onager_tensor *inputs, size_t count, int32_t wait);
/* No variant comes or goes for this session from here on, whatever sessions on the same model do. What is compiled at the time is not taken, and who waits for it is
 * told so. Runs that have begun end with the variants that they took. */
ONAGER_API onager_status onager_session_freeze(onager_session *session);
/* Writes an artifact to `path` that has the session's variants of the moment, which the compiler makes again for it: seconds for each. An existing file is replaced when
 * all went well, else stays. Fails without a compiler, and for artifacts without what variants are made of or whose weights are elsewhere. May be called by any thread. */
ONAGER_API onager_status onager_session_export(const onager_session *session, const char *path);
/* Fills in what the session counts. May be called by any thread. */
ONAGER_API onager_status onager_session_stats(const onager_session *session, onager_stats *stats);

/* Return how many inputs and outputs the model has. */
ONAGER_API size_t onager_session_inputs(const onager_session *session);
/* As onager_session_inputs. */
ONAGER_API size_t onager_session_outputs(const onager_session *session);
/* Describes an input. */
ONAGER_API onager_status onager_session_input(const onager_session *session, size_t index, onager_info *info);
/* Describes an output, likewise. */
ONAGER_API onager_status onager_session_output(const onager_session *session, size_t index, onager_info *info);
/* Returns how many threads a run may use. */
ONAGER_API int32_t onager_session_threads(const onager_session *session);

/* Makes the memory of one run at a time. */
ONAGER_API onager_status onager_context_create(onager_session *session, onager_context **context);
/* Frees a context; NULL is fine. */
ONAGER_API void onager_context_destroy(onager_context *context);
/* Checks inputs (in the signature's order) and fills dtype, rank and dims of the outputs; a dim that depends on values is -1. */
ONAGER_API onager_status onager_context_prepare(onager_context *context, const onager_tensor *inputs, size_t count, onager_tensor *outputs, size_t output_count);
/* Runs the model. Allocates nothing where shapes stay within those of earlier runs and outputs are the caller's or the context's own. */
ONAGER_API onager_status onager_context_run(onager_context *context, const onager_tensor *inputs, size_t count, onager_tensor *outputs, size_t output_count);
/* Ends the context's run in progress, or the next one where there is none, with ONAGER_CANCELLED, at the next point where its threads meet.
 * May be called by any thread, unlike the context's other functions. A run that gets to its end first is not cancelled. */
ONAGER_API void onager_context_cancel(onager_context *context);
/* Ends later runs with ONAGER_TOO_LATE when `seconds` have passed since their beginning, at the next point where their threads meet; 0: never. */
ONAGER_API onager_status onager_context_set_deadline(onager_context *context, double seconds);
/* Keeps, with `on`, to the variants that are there now: runs on equal shapes give equal bits from here on. */
ONAGER_API onager_status onager_context_pin(onager_context *context, int32_t on);
/* Keeps to the variants that a pinned context of the same model keeps to: equal shapes give equal bits in both. May run at the same time as `pinned` does. */
ONAGER_API onager_status onager_context_pin_like(onager_context *context, const onager_context *pinned);
/* Tells how many bytes a run on inputs of these types and shapes needs, outputs of the context's own included; `data` is not looked at. Values
 * whose size depends on other values come on top. */
ONAGER_API onager_status onager_context_query_memory(onager_context *context, const onager_tensor *inputs, size_t count, uint64_t *bytes);
/* Bytes that the context holds. */
ONAGER_API uint64_t onager_context_memory(const onager_context *context);

/* One launch of the last profiled run. */
typedef struct onager_launch {
  uint32_t size;
  const char *nodes; /* names of the ONNX nodes */
  const char *hero;
  double begin, end; /* seconds since the first launch; of the thread asked for */
  double flops;      /* floating-point operations of the whole launch at the last run's shapes */
  double bytes;      /* of all tensors that the launch reads and writes, each once */
} onager_launch;

/* Turns time stamps on or off for later runs. */
ONAGER_API onager_status onager_context_profile(onager_context *context, int32_t on);
/* Returns how many launches a run has. */
ONAGER_API size_t onager_context_launches(const onager_context *context);
/* Tells the times of one launch of the last profiled run on one thread. */
ONAGER_API onager_status onager_context_launch(const onager_context *context, size_t index, int32_t thread, onager_launch *launch);

#ifdef __cplusplus
}
#endif
#endif
