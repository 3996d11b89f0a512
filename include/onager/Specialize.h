// Variants of compiled models: code for some of the shapes that a model takes.
#ifndef ONAGER_SPECIALIZE_H
#define ONAGER_SPECIALIZE_H

#include "onager/Compiler.h"

namespace onager {

/// What a variant is made of; all of it comes from an artifact, see onager_code_level and onager_model in onager-rt/abi.h.
struct SpecializeOptions {
  std::string_view generic;  ///< the model's generic form
  std::string_view recipes;  ///< of the level that the variant is for
  std::string_view weights;  ///< of the level; empty where they cannot be had: what they are needed for then fails
  std::string guard;         ///< what the variant is for, in the text form of runtime/core/guard.h
  std::string output;        ///< where the variant goes: an artifact whose manifest has the guard
  bool verifyEach = false;   ///< verify the IR after every pass
};

/// What an artifact gets variants by.
struct RespecializeOptions {
  struct Level {
    std::string_view recipes;
    std::string_view weights; ///< of its generic form
  };
  std::string_view generic;        ///< the model's generic form
  std::vector<Level> levels;       ///< the most general first
  std::vector<std::string> guards; ///< of the variants that the new artifact has
  std::string output;              ///< where it goes
  std::string emit = "so";         ///< so or exe
};

/// Writes an artifact anew from what it carries, with other variants. As specialize; Status::badFile also where this compiler would lay out weights otherwise.
CompileResult respecialize(const RespecializeOptions &options);

/// Compiles a variant. Thread-safe; never throws; leaves no file behind on failure. Status::badFile where the parts belong to another version of the compiler,
/// Status::badOption for a guard that does not fit, Status::refused where the artifact lacks a constant that the variant needs.
CompileResult specialize(const SpecializeOptions &options);

} // namespace onager

#endif
