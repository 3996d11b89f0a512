// Times of a model's launches.
#ifndef ONAGER_TOOLS_PROFILE_H
#define ONAGER_TOOLS_PROFILE_H

#include "Peaks.h"
#include "Session.h"
#include "llvm/Support/JSON.h"

namespace onager::cli {

/// When one thread was inside a launch, in seconds since the run's first launch.
struct Span {
  int thread;
  double begin, end;
};

/// One launch: what it is and how long it took.
struct LaunchTimes {
  std::string nodes, hero;
  double flops = 0, bytes = 0;
  double seconds = 0;      ///< median over the profiled runs, from the first thread's begin to the last one's end; 0 where it was not reached
  std::vector<Span> spans; ///< of the last run
};

/// Profiles runs until the time is over or `mostRuns` are done, at least one.
std::vector<LaunchTimes> profileLaunches(Session &session, int mostRuns, double seconds);

/// Return the floating-point operations of a run, and the bytes that its launches read and write.
double sumFlops(const std::vector<LaunchTimes> &launches);
double sumBytes(const std::vector<LaunchTimes> &launches);

/// Returns a table of the slowest launches, at most so many: time, share, rates, the nearer of the two to its peak, hero, nodes.
std::string formatTable(const std::vector<LaunchTimes> &launches, const Peaks &peaks, size_t most);

/// Returns the launches in order.
llvm::json::Array describeLaunches(const std::vector<LaunchTimes> &launches, const Peaks &peaks);

/// Returns the last run in the Trace Event Format that chrome://tracing and Perfetto read.
std::string formatTrace(const std::vector<LaunchTimes> &launches);

/// Prints a JSON value with indentation and a newline.
std::string formatJson(llvm::json::Value value);

} // namespace onager::cli

#endif
