// The compiler as a child process: started on demand, fed through descriptors, killed when it takes too long.
//
// The child is `onager specialize --job FD --weights FD --weights-start N --weights-bytes N --guard TEXT -o FILE`; the job is
//
// job := formBytes:u64 form recipes          see onager_model and onager_code_level in onager-rt/abi.h
#ifndef ONAGER_RUNTIME_RECOMPILE_PROCESS_H
#define ONAGER_RUNTIME_RECOMPILE_PROCESS_H

#include "runtime/core/model.h"
#include <atomic>

namespace onager::rt {

/// How a compilation runs.
struct ProcessOptions {
  double seconds = 0;         ///< after which the child is killed
  bool isBackground = false;  ///< it has the lowest priority, on the cores that `avoided` leaves, where there are some
  std::string avoided;        ///< a list of cores, as 0-3,7
};

/// Compiles a variant of a model and returns the artifact's bytes. The compiler is killed once `isStopping` is set.
Outcome compileVariant(const std::string &compiler, const Model &model, const std::string &guard, const ProcessOptions &options, const std::atomic<bool> &isStopping,
                       std::string &payload);

/// Writes an artifact to `output` that has the given guards' variants as well; waits until it is written. An existing file stays as it is where this fails.
Outcome exportArtifact(const std::string &compiler, const Model &model, const std::vector<std::string> &guards, const std::string &output);

} // namespace onager::rt

#endif
