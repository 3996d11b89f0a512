// The compiler for a runtime in the same process.
#include "onager-rt/plugin.h"
#include "onager/Specialize.h"
#include <cstdio>

static std::string_view makeView(const void *bytes, uint64_t count) { return {static_cast<const char *>(bytes), bytes ? static_cast<size_t>(count) : 0}; }

extern "C" __attribute__((visibility("default"))) int32_t onager_specialize(const onager_specialization *job, char *message, uint64_t room) {
  if (job->size < sizeof *job) {
    snprintf(message, room, "the runtime is of an older version than the compiler's library");
    return static_cast<int32_t>(onager::Status::badFile);
  }
  onager::SpecializeOptions options;
  options.generic = makeView(job->form, job->form_bytes);
  options.recipes = makeView(job->recipes, job->recipe_bytes);
  options.weights = makeView(job->weights, job->weight_bytes);
  options.guard = job->guard;
  options.output = job->output;
  onager::CompileResult result = onager::specialize(options);
  if (result.status != onager::Status::ok)
    snprintf(message, room, "%s", result.error.c_str());
  return static_cast<int32_t>(result.status);
}

// The symbol that the runtime asks for is this one, of this type.
static_assert(std::string_view(ONAGER_SPECIALIZE_SYMBOL) == "onager_specialize");
[[maybe_unused]] static onager_specialize_function *const kExported = onager_specialize;
