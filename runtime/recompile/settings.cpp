// What the options and the environment say about recompilation.
#include "runtime/recompile/recompiler.h"
#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace onager::rt {

Outcome readSettings(const onager_recompilation *given, RecompileSettings &settings) {
  onager_recompilation read{};
  if (given && given->size < offsetof(onager_recompilation, max_variants))
    return failure(ONAGER_BAD_ARGUMENT, "recompilation: its size field is not set");
  if (given)
    std::memcpy(&read, given, std::min<size_t>(given->size, sizeof read));
  if (read.mode < ONAGER_RECOMPILE_DEFAULT || read.mode > ONAGER_RECOMPILE_FROZEN || read.max_variants < 0 || !(read.max_seconds >= 0))
    return failure(ONAGER_BAD_ARGUMENT, "recompilation: unknown mode, or a limit is negative");
  static const char *const modes[] = {"", "off", "lazy", "eager", "frozen"};
  const char *word = getenv("ONAGER_RECOMPILE");
  int named = ONAGER_RECOMPILE_LAZY;
  if (word && *word)
    for (named = ONAGER_RECOMPILE_OFF; named <= ONAGER_RECOMPILE_FROZEN && strcmp(word, modes[named]);)
      ++named;
  if (!read.mode && named > ONAGER_RECOMPILE_FROZEN)
    return failure(ONAGER_BAD_ARGUMENT, std::string("ONAGER_RECOMPILE: expected off, lazy, eager or frozen, found '") + word + "'");
  settings.mode = static_cast<onager_recompile>(read.mode ? read.mode : named);
  settings.maxVariants = read.max_variants ? static_cast<size_t>(read.max_variants) : settings.maxVariants;
  settings.maxBytes = read.max_bytes ? read.max_bytes : settings.maxBytes;
  settings.maxSeconds = read.max_seconds > 0 ? read.max_seconds : settings.maxSeconds;
  settings.isChecked = read.check != 0;
  settings.hasCompiler = read.compiler != nullptr;
  settings.compiler = read.compiler ? read.compiler : "";
  settings.hasCache = read.cache != nullptr;
  settings.cache = read.cache ? read.cache : "";
  const char *library = read.library ? read.library : getenv("ONAGER_COMPILER_LIBRARY");
  settings.isInProcess = library != nullptr;
  settings.library = library ? library : "";
  settings.event = read.event;
  settings.eventUser = read.event_user;
  return {};
}

} // namespace onager::rt
