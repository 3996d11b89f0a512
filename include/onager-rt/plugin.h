/* The border between a runtime and a compiler in the same process. libonager-specialize exports onager_specialize; a session that was told to compile in its
 * own process (onager_recompilation.library) loads it when the first variant is wanted. */
#ifndef ONAGER_RT_PLUGIN_H
#define ONAGER_RT_PLUGIN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a variant is made of: onager_model and onager_code_level in abi.h tell the parts. Nothing is kept beyond the call. */
typedef struct onager_specialization {
  uint32_t size;
  uint32_t reserved;
  const void *form, *recipes, *weights; /* weights: of the level; NULL where they cannot be had */
  uint64_t form_bytes, recipe_bytes, weight_bytes;
  const char *guard;  /* as batch=1,seq=128 */
  const char *output; /* path of the artifact that is written */
} onager_specialization;

/* Compiles a variant. Returns 0, or another number and one line in `message`, which has room for so many bytes. Any thread may call it. */
typedef int32_t onager_specialize_function(const onager_specialization *job, char *message, uint64_t room);

/* The name under which the library exports it. */
#define ONAGER_SPECIALIZE_SYMBOL "onager_specialize"

#ifdef __cplusplus
}
#endif

#endif
