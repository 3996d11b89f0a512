// Bisections, apart from what they compile and run.
#include "PassSearch.h"
#include <algorithm>

namespace onager::cli {

int64_t findBorder(int64_t whole, int64_t broken, const std::function<bool(int64_t)> &isBroken) {
  while (whole + 1 < broken) {
    int64_t middle = whole + (broken - whole) / 2;
    (isBroken(middle) ? broken : whole) = middle;
  }
  return broken;
}

PassFinding findPass(const TryPasses &attempt) {
  PassFinding finding;
  // With a limit that nothing reaches passes are counted.
  PassTrial all = attempt(INT64_MAX, -1);
  finding.count = all.passes.size();
  if (attempt(0, -1).isBroken || finding.count == 0)
    return finding;
  finding.pass = findBorder(0, static_cast<int64_t>(finding.count), [&](int64_t limit) { return attempt(limit, -1).isBroken; });
  PassTrial last = attempt(finding.pass, -1);
  finding.name = last.passes[static_cast<size_t>(finding.pass) - 1];
  if (!last.rewrites || attempt(finding.pass, 0).isBroken)
    return finding;
  finding.rewrite = findBorder(0, static_cast<int64_t>(last.rewrites), [&](int64_t limit) { return attempt(finding.pass, limit).isBroken; });
  finding.rewriteName = attempt(finding.pass, finding.rewrite).lastRewrite;
  return finding;
}

std::vector<size_t> findCulprits(size_t count, size_t most, const std::function<bool(const std::vector<bool> &chosen)> &isBroken) {
  std::vector<bool> left(count, true);
  std::vector<size_t> culprits;
  while (culprits.size() < most && isBroken(left)) {
    auto takeFirst = [&](int64_t parts) {
      std::vector<bool> chosen = left;
      std::fill(chosen.begin() + parts, chosen.end(), false);
      return isBroken(chosen);
    };
    auto part = static_cast<size_t>(findBorder(0, static_cast<int64_t>(count), takeFirst)) - 1;
    if (!left[part])
      break; // broken without any part
    left[part] = false;
    culprits.push_back(part);
  }
  return culprits;
}

} // namespace onager::cli
