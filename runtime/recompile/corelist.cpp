// Writing and reading lists of cores.
#include "runtime/recompile/corelist.h"
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <sched.h>

namespace onager::rt {

std::string listCores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set))
    return {};
  std::string text;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (!CPU_ISSET(core, &set))
      continue;
    int last = core;
    while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, &set))
      ++last;
    text += (text.empty() ? "" : ",") + std::to_string(core) + (last > core ? "-" + std::to_string(last) : "");
    core = last;
  }
  return text;
}

/// Reads a core's number, and moves on behind it.
static bool readCore(const char *&at, unsigned long &core) {
  if (!std::isdigit(static_cast<unsigned char>(*at)))
    return false;
  char *end;
  core = std::strtoul(at, &end, 10);
  at = end;
  return core < CPU_SETSIZE;
}

bool avoidCores(const std::string &list) {
  cpu_set_t set;
  std::memset(&set, 0xff, sizeof set);
  for (const char *at = list.c_str(); *at;) {
    unsigned long first = 0, last = 0;
    if (!readCore(at, first))
      return false;
    last = first;
    if (*at == '-' && !readCore(++at, last))
      return false;
    for (unsigned long core = first; core <= last; ++core)
      CPU_CLR(core, &set);
    if (*at && *at++ != ',')
      return false;
  }
  // The system takes out what this process may not use; where nothing is left it refuses, and the mask stays.
  sched_setaffinity(0, sizeof set, &set);
  return true;
}

} // namespace onager::rt
