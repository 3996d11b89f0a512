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

/// Compiles a variant. Thread-safe; never throws; leaves no file behind on failure. Status::badFile where the parts belong to another version of the compiler,
/// Status::badOption for a guard that does not fit, Status::refused where the artifact lacks a constant that the variant needs.
CompileResult specialize(const SpecializeOptions &options);

} // namespace onager

#endif
