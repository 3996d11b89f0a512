// The machine that code is made for.
#ifndef ONAGER_TARGET_H
#define ONAGER_TARGET_H

#include <string>
#include <vector>

namespace onager {

/// A CPU as LLVM names it, and what the code expects of it.
struct Target {
  std::string cpu;                   ///< LLVM's name, e.g. x86-64-v3
  std::string features;              ///< LLVM's feature string
  std::vector<std::string> required; ///< features that are checked before the code runs
  unsigned vectorBytes = 16;         ///< width of a vector register
  bool hasDotProduct = false;        ///< adds four products of bytes to 32-bit sums, in vectors of that width
  bool hasAmx = false;               ///< multiplies tiles of bytes, and the system lets processes do so that ask
  bool hasBf16Dot = false;           ///< adds products of two pairs of bf16 to f32, faster than it multiplies f32
  bool hasAmxBf16 = false;           ///< as hasAmx, for tiles of bf16
};

/// Returns the target of a `--target` option: native, x86-64-v2, x86-64-v3 or x86-64-v4. False for others, and for portable,
/// which is several targets.
bool getTarget(const std::string &name, Target &target);

} // namespace onager

#endif
