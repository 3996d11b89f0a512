// How many cores a process may use: its affinity mask, cut by the quotas of its cgroup and of those above it.
#include "runtime/core/gang.h"
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sched.h>
#include <string>
#include <unistd.h>

namespace onager::rt {

/// Reads numbers from the start of a small file; "max" and a missing file give none.
static int readNumbers(const std::string &path, long long *numbers, int count) {
  FILE *file = fopen(path.c_str(), "re");
  if (!file)
    return 0;
  int found = 0;
  while (found < count && fscanf(file, "%lld", &numbers[found]) == 1)
    ++found;
  fclose(file);
  return found;
}

/// The quota of one group in whole cores, rounded up; 0 without one.
static int readGroup(const std::string &folder, bool isUnified) {
  long long pair[2] = {0, 0};
  bool isLimited = isUnified ? readNumbers(folder + "/cpu.max", pair, 2) == 2
                             : readNumbers(folder + "/cpu.cfs_quota_us", &pair[0], 1) == 1 && readNumbers(folder + "/cpu.cfs_period_us", &pair[1], 1) == 1;
  return isLimited && pair[0] > 0 && pair[1] > 0 ? static_cast<int>((pair[0] + pair[1] - 1) / pair[1]) : 0;
}

/// True where a comma-separated list of controllers holds `cpu`.
static bool holdsCpu(const std::string &controllers) { return ("," + controllers + ",").find(",cpu,") != std::string::npos; }

int readQuota(const char *groups, const std::string &root) {
  FILE *file = fopen(groups, "re");
  int least = 0;
  char line[4096];
  while (file && fgets(line, sizeof line, file)) {
    std::string text(line, strcspn(line, "\n"));
    size_t first = text.find(':'), second = text.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos)
      continue;
    std::string controllers = text.substr(first + 1, second - first - 1), path = text.substr(second + 1);
    bool isUnified = controllers.empty();
    if (!isUnified && !holdsCpu(controllers))
      continue;
    for (path = path == "/" ? "" : path;; path.resize(path.rfind('/'))) {
      int quota = readGroup(root + (isUnified ? "" : "/cpu") + path, isUnified);
      if (quota && (!least || quota < least))
        least = quota;
      if (path.rfind('/') == std::string::npos)
        break;
    }
  }
  if (file)
    fclose(file);
  return least;
}

int countUsableCores() {
  cpu_set_t set;
  int cores = sched_getaffinity(0, sizeof set, &set) ? static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)) : CPU_COUNT(&set);
  int quota = readQuota("/proc/self/cgroup", "/sys/fs/cgroup");
  if (quota > 0 && quota < cores)
    cores = quota;
  return cores < 1 ? 1 : cores;
}

} // namespace onager::rt
