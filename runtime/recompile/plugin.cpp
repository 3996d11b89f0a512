// The compiler in the runtime's own process.
#include "runtime/recompile/plugin.h"
#include "onager-rt/plugin.h"
#include "runtime/recompile/corelist.h"
#include "runtime/recompile/outputfolder.h"
#include <cstring>
#include <dlfcn.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace onager::rt {

namespace {

/// One compilation, for the thread that does it.
struct Compilation {
  onager_specialize_function *specialize;
  onager_specialization job;
  const ProcessOptions &options;
  int32_t status = 0;
  char message[1024] = "";
};

void *runCompilation(void *given) {
  auto *compilation = static_cast<Compilation *>(given);
  if (compilation->options.isBackground) {
    setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), 19);
    avoidCores(compilation->options.avoided);
  }
  compilation->status = compilation->specialize(&compilation->job, compilation->message, sizeof compilation->message);
  return nullptr;
}

/// Runs a compilation on a thread that no other work follows on: a lowered priority cannot be raised again.
Outcome runOnThread(Compilation &compilation) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  // Passes recurse, as deeply as a program's main thread allows.
  pthread_attr_setstacksize(&attributes, size_t(8) << 20);
  pthread_t thread;
  int error = pthread_create(&thread, &attributes, runCompilation, &compilation);
  pthread_attr_destroy(&attributes);
  if (error)
    return failure(ONAGER_OUT_OF_MEMORY, std::string("cannot start a thread for the compiler: ") + strerror(error));
  pthread_join(thread, nullptr);
  return {};
}

} // namespace

Outcome compileInProcess(const std::string &library, const Model &model, const std::string &guard, const ProcessOptions &options, std::string &payload) {
  void *handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (!handle)
    return failure(ONAGER_BAD_FILE, std::string("cannot load the compiler's library: ") + dlerror());
  auto specialize = reinterpret_cast<onager_specialize_function *>(dlsym(handle, ONAGER_SPECIALIZE_SYMBOL));
  dlclose(handle);
  if (!specialize)
    return failure(ONAGER_BAD_FILE, library + " is no library of the compiler: it lacks " + ONAGER_SPECIALIZE_SYMBOL);
  OutputFolder folder;
  if (Outcome outcome = folder.make(); !outcome)
    return outcome;
  std::string output = folder.output();
  Compilation compilation{specialize, {sizeof(onager_specialization), 0, model.form, model.recipes, model.weightRoom() ? model.generic.weights : nullptr, model.formBytes, model.recipeBytes,
                                       model.weightRoom(), guard.c_str(), output.c_str()}, options};
  if (Outcome outcome = runOnThread(compilation); !outcome)
    return outcome;
  if (compilation.status)
    return failure(ONAGER_RUN_FAILED, std::string("the compiler failed: ") + compilation.message);
  return folder.read(payload);
}

} // namespace onager::rt
