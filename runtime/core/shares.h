// Sharing out the items of a launch between the threads of a gang.
#ifndef ONAGER_RUNTIME_CORE_SHARES_H
#define ONAGER_RUNTIME_CORE_SHARES_H

#include "onager-rt/abi.h"

namespace onager::rt {

/// The items of a launch. Thread t's share is [items * t / threads, items * (t + 1) / threads).
struct SharedItems {
  int64_t items;
  int64_t grain;   ///< items that prepare something together: shares are cut between such groups only; at least 1
  int32_t threads;
  int64_t *taken;  ///< for each thread, how many parts of its share were taken; 0 before the launch
};

/// Runs `unit` on the parts of the thread's share in order, then on parts of others' shares that nobody has taken: a thread whose core is slow, or has other
/// work, holds up nobody for long. All threads of the gang call it, each with arguments of its own, and each item is run once. Stops at the first part whose
/// unit does not return 0, and returns that.
int32_t runShares(const SharedItems &shared, onager_run *run, int32_t thread, onager_unit unit, void **arguments);

} // namespace onager::rt

#endif
