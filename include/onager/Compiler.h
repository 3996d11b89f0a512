// The compiler as a library: an ONNX model in, an artifact out.
#ifndef ONAGER_COMPILER_H
#define ONAGER_COMPILER_H

#include "onager-rt/operators.h"
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace onager {

/// How a compilation ended; also the exit status of the command line.
enum class Status { ok = 0, difference = 1, badOption = 2, refused = 3, badFile = 4, internal = 5 };

/// What to compile and how. Every field has the meaning of the command-line option of its name.
struct CompileOptions {
  std::string model;               ///< path of the model; empty where `bytes` holds it
  std::string_view bytes;          ///< the model itself; must stay valid during the call
  std::string output;              ///< path of the artifact; may be empty with stopAfter
  std::string target = "native";   ///< see getTarget
  int optLevel = 3;                ///< 0: scalar reference form, accumulating in f64; 1: compiled in the least time; 2 and 3: what runs fastest
  std::string name = "onager";     ///< prefix of the artifact's symbol
  std::string emit = "so";         ///< so, exe, obj, lib, llvm or mlir
  std::string weights = "inside";  ///< inside: with the code; separate: in `<output>.weights`
  std::string stopAfter;           ///< a stage of Stages.def: its IR goes to `text`
  std::string printAfter;          ///< a pass: its IR goes to stderr
  bool exposeAll = false;          ///< return every value inside the model as an output as well
  std::vector<int64_t> exposed;    ///< return the values at these positions, see the pass graph-expose-values
  std::string saveTemps;           ///< a folder for the IR that leaves each stage, LLVM IR and the object file
  bool winograd = true;            ///< compute 3 x 3 convolutions in Winograd's form where that is faster; see the pass convert-conv-to-winograd
  bool int8 = true;                ///< multiply the bytes of quantised models as integers; see the pass graph-raise-int8
  bool bf16 = true;                ///< round operands of products of bf16 as the model says, and multiply them as bf16; see the pass convert-contraction-to-bf16
  bool bf16x3 = true;              ///< multiply f32 as sums of three numbers of bf16 where the processor has tiles for those; see the pass convert-matmul-to-gemm
  bool sanitize = false;           ///< check every access of the code with AddressSanitizer, whose runtime must be in the process that runs it
  bool sparse = true;              ///< leave out products with weights of 0 where that is faster; see the pass graph-mark-sparse
  std::vector<std::string> skippedPasses; ///< optional passes to leave out; see lib/Pipeline/PassFilter.h
  int64_t passLimit = -1;          ///< how many runs of optional passes take place, the first ones; -1: all
  int64_t rewriteLimit = -1;       ///< how many rewrites the last of these runs may try; -1: all
  bool verifyEach = false;         ///< verify the IR after every pass
  bool timing = false;             ///< print the time of every pass to stderr
  std::map<std::string, std::vector<int64_t>> shapes; ///< fixed shapes of inputs
  std::vector<std::string> dims;     ///< what is known of symbols, in the text form of runtime/core/guard.h; runs refuse other shapes
  std::vector<std::string> likely;   ///< shapes that are expected, in that form; `auto` among the variants stands for them
  std::vector<std::string> variants; ///< guards of variants that are made with the artifact, in that form, or `auto`
  bool recompile = true;           ///< carry the model's generic form, so that variants can be made where it runs
  std::vector<const onager_operator *> operators; ///< custom operators, in the place of those of the same domain and type that the compiler knows
};

/// What came of it.
struct CompileResult {
  Status status = Status::ok;
  std::string error;  ///< one line per problem
  std::string text;   ///< IR where stopAfter asked for it
  std::string report; ///< JSON: units, weights, options, seconds by stage
  std::vector<std::string> passes;  ///< where passes are limited or left out: each run of an optional pass that was met, in order, "NAME" or "NAME @UNIT"
  std::vector<std::string> skipped; ///< those of them that did not take place
  uint64_t rewrites = 0;            ///< how many rewrites the last run before the limit tried
  std::string lastRewrite;          ///< the last of them, where their number was limited: its name, operation and location
};

/// Compiles a model. Thread-safe; never throws; leaves no file behind on failure.
CompileResult compile(const CompileOptions &options);

/// One version of an operator, and how a node of it is compiled.
struct OperatorInfo {
  std::string domain;  ///< "ai.onnx" for ONNX's own
  std::string name;
  int64_t since = 0;   ///< the operator set that brought this version
  enum How { direct, inlined, missing } how = missing; ///< by an import function, through the body that its schema has, or not at all
  std::vector<std::string> types; ///< element types that some input may have, as ONNX writes them; empty where no schema tells
};

/// Lists every version of every operator that ONNX's schemas or the importer know, by domain, name and version.
std::vector<OperatorInfo> listOperators();

/// Returns the stage that this process's latest compilation has entered, "start" before the first. Safe in a signal handler, for crash reports.
const char *getStage();

/// Reads one `key=value` option, with the names of the command line ('-' or '_'). False and a reason for unknown or malformed ones.
bool setOption(CompileOptions &options, const std::string &key, const std::string &value, std::string &error);

} // namespace onager

#endif
