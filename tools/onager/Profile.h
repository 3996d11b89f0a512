// Times of a model's launches.
#ifndef ONAGER_TOOLS_PROFILE_H
#define ONAGER_TOOLS_PROFILE_H

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
  double flops = 0;
  double seconds = 0;      ///< median over the profiled runs, from the first thread's begin to the last one's end; 0 where it was not reached
  std::vector<Span> spans; ///< of the last run
};

/// Profiles runs until the time is over or `mostRuns` are done, at least one.
std::vector<LaunchTimes> profileLaunches(Session &session, int mostRuns, double seconds);

/// Returns the floating-point operations of a run.
double sumFlops(const std::vector<LaunchTimes> &launches);

/// Returns a table of the slowest launches: time, share, GFLOP/s, hero, nodes.
std::string formatTable(const std::vector<LaunchTimes> &launches);

/// Returns the launches in order.
llvm::json::Array describeLaunches(const std::vector<LaunchTimes> &launches);

/// Returns the last run in the Trace Event Format that chrome://tracing and Perfetto read.
std::string formatTrace(const std::vector<LaunchTimes> &launches);

/// Prints a JSON value with indentation and a newline.
std::string formatJson(llvm::json::Value value);

} // namespace onager::cli

#endif
