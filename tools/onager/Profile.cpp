// Collecting launch times and putting them in order.
#include "Profile.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"
#include <algorithm>
#include <chrono>
#include <set>

namespace json = llvm::json;

namespace onager::cli {

static double getMedian(std::vector<double> values) {
  if (values.empty())
    return 0;
  auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Reads what the last run stored about a launch; threads that did not reach it are left out.
static LaunchTimes readLaunch(const Session &session, size_t index) {
  LaunchTimes times;
  for (int thread = 0; thread < session.getThreads(); ++thread) {
    onager_launch launch{};
    launch.size = sizeof launch;
    checkCall(onager_context_launch(session.getContext(), index, thread, &launch));
    times.nodes = launch.nodes;
    times.hero = launch.hero;
    times.flops = launch.flops;
    times.bytes = launch.bytes;
    if (launch.end > launch.begin)
      times.spans.push_back({thread, launch.begin, launch.end});
  }
  for (const Span &span : times.spans)
    times.seconds = std::max(times.seconds, span.end);
  double begin = times.seconds;
  for (const Span &span : times.spans)
    begin = std::min(begin, span.begin);
  times.seconds -= begin;
  return times;
}

std::vector<LaunchTimes> profileLaunches(Session &session, int mostRuns, double seconds) {
  using Clock = std::chrono::steady_clock;
  auto start = Clock::now();
  size_t count = onager_context_launches(session.getContext());
  std::vector<LaunchTimes> launches(count);
  std::vector<std::vector<double>> samples(count);
  for (int run = 0; run < mostRuns; ++run) {
    // Turning profiling on clears the stamps, so that launches a run does not reach have none.
    checkCall(onager_context_profile(session.getContext(), 1));
    session.run();
    for (size_t k = 0; k < count; ++k) {
      launches[k] = readLaunch(session, k);
      samples[k].push_back(launches[k].seconds);
    }
    if (std::chrono::duration<double>(Clock::now() - start).count() > seconds)
      break;
  }
  checkCall(onager_context_profile(session.getContext(), 0));
  for (size_t k = 0; k < count; ++k)
    launches[k].seconds = getMedian(samples[k]);
  return launches;
}

/// Sums a field over the launches that the run reached.
static double sumReached(const std::vector<LaunchTimes> &launches, double LaunchTimes::*field) {
  double sum = 0;
  for (const LaunchTimes &launch : launches)
    if (launch.seconds > 0)
      sum += launch.*field;
  return sum;
}

double sumFlops(const std::vector<LaunchTimes> &launches) { return sumReached(launches, &LaunchTimes::flops); }
double sumBytes(const std::vector<LaunchTimes> &launches) { return sumReached(launches, &LaunchTimes::bytes); }

static double sumSeconds(const std::vector<LaunchTimes> &launches) {
  double sum = 0;
  for (const LaunchTimes &launch : launches)
    sum += launch.seconds;
  return sum;
}

static double getRate(const LaunchTimes &launch, double amount) { return launch.seconds > 0 ? amount / launch.seconds * 1e-9 : 0; }
/// How near a launch comes to what the machine can do, by operations or by bytes.
static double getPeakShare(const LaunchTimes &launch, const Peaks &peaks) {
  return std::max(getRate(launch, launch.flops) / peaks.flops, getRate(launch, launch.bytes) / peaks.bytes) * 1e9;
}
static double getShare(const LaunchTimes &launch, double total) { return total > 0 ? launch.seconds / total : 0; }

std::string formatTable(const std::vector<LaunchTimes> &launches, const Peaks &peaks, size_t most) {
  constexpr size_t kNodesWidth = 80;
  double total = sumSeconds(launches);
  std::vector<const LaunchTimes *> order;
  for (const LaunchTimes &launch : launches)
    order.push_back(&launch);
  std::sort(order.begin(), order.end(), [](const LaunchTimes *a, const LaunchTimes *b) { return std::make_pair(-a->seconds, a) < std::make_pair(-b->seconds, b); });
  std::string text = "      ms   share  GFLOP/s     GB/s    peak  hero          nodes\n";
  for (const LaunchTimes *launch : llvm::ArrayRef(order).take_front(most)) {
    std::string nodes = launch->nodes.size() > kNodesWidth ? launch->nodes.substr(0, kNodesWidth - 3) + "..." : launch->nodes;
    text += llvm::formatv("{0,8:f3}  {1,5:f1}%  {2,7:f2}  {3,7:f2}  {4,5:f1}%  {5,-12}  {6}\n", launch->seconds * 1e3, getShare(*launch, total) * 100,
                          getRate(*launch, launch->flops), getRate(*launch, launch->bytes), getPeakShare(*launch, peaks) * 100, launch->hero, nodes)
                .str();
  }
  if (order.size() > most)
    text += "and " + std::to_string(order.size() - most) + " launches more: --per-kernel tells all\n";
  return text;
}

json::Array describeLaunches(const std::vector<LaunchTimes> &launches, const Peaks &peaks) {
  double total = sumSeconds(launches);
  json::Array list;
  for (const LaunchTimes &launch : launches)
    list.push_back(json::Object{{"nodes", json::fixUTF8(launch.nodes)}, {"hero", launch.hero}, {"ms", launch.seconds * 1e3},
                                {"share", getShare(launch, total)}, {"gflops", getRate(launch, launch.flops)}, {"gbytes_per_second", getRate(launch, launch.bytes)},
                                {"peak_share", getPeakShare(launch, peaks)}, {"flops", launch.flops}, {"bytes", launch.bytes}});
  return list;
}

std::string formatTrace(const std::vector<LaunchTimes> &launches) {
  json::Array events;
  std::set<int> threads;
  for (const LaunchTimes &launch : launches)
    for (const Span &span : launch.spans) {
      std::string nodes = json::fixUTF8(launch.nodes);
      if (threads.insert(span.thread).second)
        events.push_back(json::Object{{"name", "thread_name"}, {"ph", "M"}, {"pid", 1}, {"tid", span.thread},
                                      {"args", json::Object{{"name", "thread " + std::to_string(span.thread)}}}});
      events.push_back(json::Object{{"name", nodes}, {"cat", launch.hero}, {"ph", "X"}, {"pid", 1}, {"tid", span.thread}, {"ts", span.begin * 1e6},
                                    {"dur", (span.end - span.begin) * 1e6}, {"args", json::Object{{"hero", launch.hero}, {"flops", launch.flops}}}});
    }
  return formatJson(json::Object{{"traceEvents", std::move(events)}, {"displayTimeUnit", "ms"}});
}

std::string formatJson(json::Value value) { return llvm::formatv("{0:2}\n", value).str(); }

} // namespace onager::cli
