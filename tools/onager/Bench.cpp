// onager bench: the time of a run and of its launches.
#include "Artifact.h"
#include "Inputs.h"
#include "Profile.h"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>

namespace json = llvm::json;

namespace onager::cli {

namespace {

struct BenchArguments {
  std::string model, profile;
  int threads = 0;
  double seconds = 3;
  bool isJson = false, isPerKernel = false;
  Recompilation recompilation;
  CompilerArguments compiler;
  InputArguments inputs;
};

/// Launches in the table where not all are asked for.
constexpr size_t kMostLaunches = 30;

/// Sorted times of runs, in seconds.
struct Times {
  std::vector<double> sorted;
  double getQuantile(double q) const {
    auto rank = static_cast<size_t>(std::ceil(q * static_cast<double>(sorted.size())));
    return sorted[std::clamp<size_t>(rank, 1, sorted.size()) - 1];
  }
};

} // namespace

static double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// Runs until the time is over, at least `fewest` times.
static Times measure(Session &session, double seconds, size_t fewest) {
  Times times;
  for (double start = now(), before = start; times.sorted.size() < fewest || before - start < seconds;) {
    session.run();
    double after = now();
    times.sorted.push_back(after - before);
    before = after;
  }
  std::sort(times.sorted.begin(), times.sorted.end());
  return times;
}

static void printResult(const Session &session, const Times &times, const std::vector<LaunchTimes> &launches, const Peaks &peaks, size_t most) {
  double median = times.getQuantile(0.5);
  printFormatted("%zu runs with %d threads: min %.3f ms, median %.3f ms, p99 %.3f ms, %.2f GFLOP/s, %.2f GB/s (%.1f MB a run), %.1f MiB of memory beside weights\n", times.sorted.size(),
                 session.getThreads(), times.sorted[0] * 1e3, median * 1e3, times.getQuantile(0.99) * 1e3, sumFlops(launches) / median * 1e-9, sumBytes(launches) / median * 1e-9,
                 sumBytes(launches) * 1e-6, static_cast<double>(onager_context_memory(session.getContext())) / (1 << 20));
  printFormatted("peaks of this machine: %.2f GFLOP/s, %.2f GB/s\n", peaks.flops * 1e-9, peaks.bytes * 1e-9);
  print(formatTable(launches, peaks, most));
  if (std::optional<onager_stats> stats = session.getStats())
    print(formatStats(*stats));
}

static json::Value describe(const Session &session, const Times &times, const std::vector<LaunchTimes> &launches, const Peaks &peaks) {
  double median = times.getQuantile(0.5);
  json::Object object{{"threads", session.getThreads()},
                      {"runs", static_cast<int64_t>(times.sorted.size())},
                      {"min_ms", times.sorted[0] * 1e3},
                      {"median_ms", median * 1e3},
                      {"p99_ms", times.getQuantile(0.99) * 1e3},
                      {"gflops", sumFlops(launches) / median * 1e-9},
                      {"bytes", sumBytes(launches)},
                      {"gbytes_per_second", sumBytes(launches) / median * 1e-9},
                      {"peak_gflops", peaks.flops * 1e-9},
                      {"peak_gbytes_per_second", peaks.bytes * 1e-9},
                      {"memory_bytes", static_cast<int64_t>(onager_context_memory(session.getContext()))},
                      {"launches", describeLaunches(launches, peaks)}};
  if (std::optional<onager_stats> stats = session.getStats())
    object["recompilation"] = describeStats(*stats);
  return object;
}

static Status runBench(const BenchArguments &arguments) {
  arguments.recompilation.checkEnvironment();
  ModelSource source = openSource(arguments.model);
  Artifact artifact = provideArtifact(source, arguments.compiler);
  std::vector<Tensor> inputs = arguments.inputs.collect(readManifest(artifact.path));
  Session session(artifact.path, arguments.threads, arguments.recompilation);
  session.bind(inputs);
  session.warmUp();
  showProgress("measuring " + source.shown);
  Peaks peaks = measurePeaks(session.getThreads());
  measure(session, std::min(1.0, arguments.seconds / 4), /*fewest=*/2);
  Times times = measure(session, arguments.seconds, /*fewest=*/5);
  std::vector<LaunchTimes> launches = profileLaunches(session, /*mostRuns=*/50, std::min(1.0, arguments.seconds / 4));
  if (!arguments.profile.empty())
    writeFile(arguments.profile, formatTrace(launches));
  if (arguments.isJson)
    print(formatJson(describe(session, times, launches, peaks)));
  else
    printResult(session, times, launches, peaks, arguments.isPerKernel ? launches.size() : kMostLaunches);
  return Status::ok;
}

Command addBench(CLI::App &app) {
  auto arguments = std::make_shared<BenchArguments>();
  app.add_option("model", arguments->model, "A compiled model, or an ONNX model that is compiled first")->required()->type_name("M.so|M.onnx");
  app.add_option("--threads", arguments->threads, "Threads of a run; 0: as many as the process may use")->check(CLI::Range(0, 1024));
  app.add_option("--seconds", arguments->seconds, "Time to measure for (default 3), after a quarter of it to warm up")->check(CLI::Range(0.0, 86400.0));
  app.add_flag("--json", arguments->isJson, "Print JSON, with all launches");
  app.add_flag("--per-kernel", arguments->isPerKernel, "List all launches by their time, not the slowest 30 alone: rates, and how near they come to the machine's peaks");
  app.add_option("--profile", arguments->profile, "Write when each launch of one run ran, as a trace for chrome://tracing")->type_name("TRACE.json");
  arguments->inputs.addFiles(app, /*needed=*/false);
  arguments->inputs.addRandom(app);
  arguments->recompilation.addTo(app);
  arguments->compiler.addCommon(app);
  return [arguments] { return runBench(*arguments); };
}

} // namespace onager::cli
