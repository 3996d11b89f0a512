// Options whose value is one of a few words.
#ifndef ONAGER_TOOLS_CHOICE_H
#define ONAGER_TOOLS_CHOICE_H

#include <CLI/CLI.hpp>

namespace onager::cli {

/// Returns a check that a value is one of the words, whose error names them as those of the compiler's own options do. Letters of another case are accepted where
/// it is used as a transform.
CLI::Validator oneOf(std::vector<std::string> words);

} // namespace onager::cli

#endif
