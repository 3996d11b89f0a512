// What an artifact says about itself: signature, symbols, memory, launches. Written by the compiler, read by the runtime.
//
// manifest  := magic:u64 "ONGRMAN5", name, features, symbols, inputs, outputs, derived, slots, blocks:u64, launches, errors,
//              weightBytes:u64, work:expr, strings, operators, guard, values
// string    := length:u64, bytes          list of X := count:u64, X*
// features  := list of string (LLVM's names of CPU features that the code needs)
// symbols   := list of string ("" for one without a name)
// tensor    := name:string, dtype:u64 (ONNX's number), dims: list of expr, block:i64, value:string, form:string
// derived   := list of (symbol:u64, expr)         evaluated in order after the inputs' symbols are known
// slots     := list of (bytes:expr, first:u64, last:u64, perThread:u64)
// launches  := list of (name:string, hero:string, flops:expr, bytes:expr)
// errors    := list of string
// strings   := list of string                     the texts that a run's table begins with
// operators := list of operator                   nodes of custom operators
// operator  := domain:string, type:string, node:string, version:u64, inputs: list of dtype:i64, results: list of result, attributes: list of attribute
// result    := dtype:u64, dims: list of i64       see ResultInfo
// attribute := name:string, type:u64, ints: list of i64, floats: list of f32 (8 bytes each), strings: list of string
// guard     := list of (kind:u64, symbol:u64, a:i64, b:i64)   see guard.h
// values    := list of (symbol:u64, input:u64, element:u64)   see ValueInfo
// expr      := list of (op:u64, value:i64)        a program for a stack machine, see Expr
// All numbers are little-endian.
//
// An artifact ends with a footer that tells its length, so that it may stand behind a program:
//
// file      := prefix, code, padding, weights, footer:Footer    prefix: any multiple of 64 KiB; weights at one of 64 KiB after it
// weights   := bytes, footer:WeightFooter                       a file of weights beside an artifact that holds none
#ifndef ONAGER_RUNTIME_CORE_MANIFEST_H
#define ONAGER_RUNTIME_CORE_MANIFEST_H

#include "runtime/core/guard.h"
#include <cstdint>
#include <string>
#include <vector>

namespace onager::rt {

/// An expression of symbols in postfix order.
struct Expr {
  enum Op : uint64_t { Const, Symbol, Add, Mul, FloorDiv, CeilDiv, Mod, Max, Min, Broadcast, TruncDiv, SelectEqual, Count };
  struct Token {
    uint64_t op;
    int64_t value; ///< of Const and Symbol
  };
  std::vector<Token> tokens;
  /// Returns the value; sets `bad` on overflow. Division by zero gives zero.
  int64_t evaluate(const int64_t *symbols, bool &bad) const;
  /// Returns the constant, or the single symbol as -1 - symbol, where the expression is no more than that.
  bool isSymbol(int64_t &symbol) const;
  bool isConstant(int64_t &value) const;
  /// Prints the expression with the symbols' names.
  std::string print(const std::vector<std::string> &names) const;
};

struct TensorInfo {
  std::string name;
  uint64_t dtype = 0;
  std::vector<Expr> dims;
  int64_t block = -1; ///< growable block of an output whose shape depends on values, else -1
  std::string value;  ///< of a part of a sequence, map or optional: its name, and its form as onager_info has it; else ""
  std::string form;
};

struct Slot {
  Expr bytes;
  uint64_t first = 0, last = 0; ///< launches between which the slot is live, both included
  uint64_t perThread = 0;       ///< nonzero: `bytes` (aligned) for each thread
};

struct Launch {
  std::string name, hero;
  Expr flops;
  Expr bytes; ///< of all tensors that it reads and writes, each once
};

struct Derived {
  uint64_t symbol = 0;
  Expr expr;
};

/// A symbol that has the value of an element of an input, in row-major order. The input has integers or bools, and a fixed shape.
struct ValueInfo {
  static constexpr uint64_t kMostElements = 8; ///< of one input
  uint64_t symbol = 0, input = 0, element = 0;
};

/// An attribute of a node of a custom operator. `type` is of ONNX's AttributeProto.AttributeType; what is no list is one of one value.
struct AttributeInfo {
  std::string name;
  uint64_t type = 0;
  std::vector<int64_t> ints; ///< of a tensor: element type, then dims
  std::vector<float> floats;
  std::vector<std::string> strings; ///< of a tensor: one with its bytes
};

/// An output of a node of a custom operator.
struct ResultInfo {
  static constexpr int64_t kFound = -1, kKnown = -2;
  uint64_t dtype = 0;
  std::vector<int64_t> dims; ///< kFound: the operator tells it before the node runs; kKnown: the code has an expression for it
};

/// A node of a custom operator.
struct CustomNodeInfo {
  std::string domain, type, node;
  uint64_t version = 0;        ///< of the domain's operator set
  std::vector<int64_t> inputs; ///< element types; 0: absent
  std::vector<ResultInfo> results;
  std::vector<AttributeInfo> attributes;
};

/// The required feature of code that AddressSanitizer instruments: that its runtime is in the process.
constexpr char kSanitizerFeature[] = "asan";

struct Manifest {
  std::string name;
  std::vector<std::string> features, symbols;
  std::vector<TensorInfo> inputs, outputs;
  std::vector<Derived> derived;
  std::vector<Slot> slots;
  uint64_t blocks = 0;
  std::vector<Launch> launches;
  std::vector<std::string> errors;
  uint64_t weightBytes = 0;
  Expr work; ///< scalar operations of a run
  std::vector<std::string> strings; ///< texts by number
  std::vector<CustomNodeInfo> operators;
  Guard guard; ///< of the generic form: what every input must fulfil; of a variant: the shapes that it is for
  std::vector<ValueInfo> values; ///< of the inputs that decide shapes or branches, by input and element
};

/// Returns the manifest's bytes.
std::string encode(const Manifest &manifest);
/// Reads a manifest; false and a reason for anything that encode does not write.
bool decode(const uint8_t *data, size_t size, Manifest &manifest, std::string &error);

/// What stands at the end of an artifact.
struct Footer {
  uint64_t magic;       ///< kFooterMagic
  uint64_t codeBytes;   ///< length of the ELF file at the start
  uint64_t codeHash;    ///< XXH64 of it
  uint64_t weightStart; ///< multiple of 64 KiB
  uint64_t weightBytes;
  uint64_t footerHash;  ///< XXH64 of the fields before
};
constexpr uint64_t kFooterMagic = 0x31544146474e4f00ull; // "\0ONGFAT1"
constexpr uint64_t kWeightAlignment = 64 << 10;

/// Finds the artifact at the end of a file: reads its footer and where it begins. Returns why there is none, or null. The code's hash is not
/// checked.
const char *findArtifact(const char *file, uint64_t size, Footer &footer, uint64_t &start);

/// What stands at the end of a file of weights.
struct WeightFooter {
  uint64_t magic; ///< kWeightFooterMagic
  uint64_t weightBytes;
  uint64_t manifestHash; ///< hashBytes of the encoded manifest that the weights belong to
  uint64_t footerHash;   ///< hashBytes of the fields before
};
constexpr uint64_t kWeightFooterMagic = 0x315747574e474e4full; // "ONGNWGW1"

/// Returns XXH64 of the bytes.
uint64_t hashBytes(const void *data, size_t size);

} // namespace onager::rt

#endif
