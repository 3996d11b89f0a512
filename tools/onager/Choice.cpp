// One of a few words.
#include "Choice.h"
#include "llvm/ADT/StringExtras.h"

namespace onager::cli {

CLI::Validator oneOf(std::vector<std::string> words) {
  std::string known = "{" + llvm::join(words, ",") + "}";
  auto choose = [words = std::move(words)](std::string &value) -> std::string {
    for (const std::string &word : words)
      if (llvm::StringRef(word).equals_insensitive(value)) {
        value = word;
        return "";
      }
    std::string expected = llvm::join(words.begin(), words.end() - 1, ", ");
    return "expected " + expected + (words.size() > 1 ? " or " : "") + words.back() + ", found '" + value + "'";
  };
  return CLI::Validator(choose, known);
}

} // namespace onager::cli
