// preimage := "abi=" N "\n" model "processor=" hex "\ncompiler=" text "\nguard=" guard "\n"
// model    := "form=" hex "\nrecipes=" hex "\n"       SHA-256 of each
#include "runtime/recompile/identity.h"
#include "onager-rt/abi.h"
#include "runtime/cache/folder.h"
#include "runtime/cache/sha256.h"
#include <cstdio>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace onager::rt {

static std::string toHex(uint64_t value) {
  char text[17];
  snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

std::string describeProcessor() {
  std::string text;
#if defined(__x86_64__)
  for (unsigned leaf : {1u, 7u}) {
    unsigned a = 0, b = 0, c = 0, d = 0;
    __get_cpuid_count(leaf, 0, &a, &b, &c, &d);
    // ebx of leaf 1 tells which core this is.
    text += toHex((uint64_t(a) << 32) | (leaf == 1 ? 0 : b)) + toHex((uint64_t(c) << 32) | d);
  }
#endif
  return text;
}

ModelIdentity describeModel(std::string_view form, std::string_view recipes) {
  std::string lines = "form=" + hashSha256(form) + "\nrecipes=" + hashSha256(recipes) + "\n";
  return {lines, hashSha256(lines).substr(0, kGroupDigits)};
}

std::string describeSurroundings(const ModelIdentity &model, const std::string &processor) {
  return "abi=" + std::to_string(ONAGER_ABI_VERSION) + "\n" + model.lines + "processor=" + processor + "\n";
}

std::string makeCompilerLine(const std::string &compiler) { return "\ncompiler=" + compiler + "\n"; }

std::string makePreimage(const std::string &surroundings, const std::string &compiler, const std::string &guard) {
  return surroundings + "compiler=" + compiler + "\nguard=" + guard + "\n";
}

std::string readGuardLine(const std::string &preimage) {
  static constexpr char kKey[] = "\nguard=";
  size_t at = preimage.find(kKey);
  if (at == std::string::npos)
    return {};
  at += sizeof kKey - 1;
  return preimage.substr(at, preimage.find('\n', at) - at);
}

} // namespace onager::rt
