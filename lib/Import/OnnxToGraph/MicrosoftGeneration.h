// Searches of com.microsoft that hold whole networks: BeamSearch, WhisperBeamSearch, GreedySearch and Sampling.
//
//   Network   runs the networks on tokens: the first time on the prompt, then on one token for each row behind the caches
//   Choice    chooses the next tokens of all rows by their logits
//   generate  joins both in a graph.loop: the first step stands before it, where lengths differ
//
// A row is one beam of one text; the first step runs on texts, since the beams of a text are alike there.
#ifndef ONAGER_LIB_IMPORT_ONNXTOGRAPH_MICROSOFTGENERATION_H
#define ONAGER_LIB_IMPORT_ONNXTOGRAPH_MICROSOFTGENERATION_H

#include "lib/Import/OnnxToGraph/Importer.h"
#include <memory>

namespace onager::frontend {

/// What the node of a search says.
struct SearchPlan {
  explicit SearchPlan(Node &node) : node(node), e(node.e) {}

  Node &node;
  Emitter &e;
  int64_t model = 0; ///< 0: GPT, 1: T5, 2: Whisper
  int64_t end = 0, padding = 0, start = -1, ngram = 0, words = 0; ///< words: 0 takes all logits
  mlir::AffineExpr texts, beams, rows; ///< rows: texts * beams
  mlir::AffineExpr prompt, most;       ///< tokens of a row before the first that is chosen, and at the end
  mlir::Value mask, prefixIds;         ///< attention_mask and decoder_input_ids; may be null
  // Null where scores are not changed by them.
  mlir::Value leastLength, repetition, temperature, wordMask, prefixMask, presence;
  mlir::Value hasTimestamps; ///< whether Whisper's rules for timestamps hold, i1

  /// Repeats what is there for each text for its beams, along an axis.
  mlir::Value expandRows(mlir::Value x, int64_t axis) const;
};

/// What a network gives for tokens.
struct NetworkStep {
  mlir::Value logits; ///< [rows, tokens, words]; of the first step [texts, tokens, words]
  Values caches;
};

class Network {
public:
  explicit Network(SearchPlan &plan) : plan(plan), e(plan.e) {}
  virtual ~Network() = default;
  /// Returns the tokens [texts, prompt] that each text begins with.
  virtual mlir::Value readPrompt() = 0;
  /// Runs on the prompt.
  virtual NetworkStep begin() = 0;
  /// Makes what all further steps share; called once, before the loop.
  virtual void prepare() = 0;
  /// Runs on the last of `length` tokens of each row.
  virtual NetworkStep next(mlir::Value tokens, mlir::Value sequences, mlir::AffineExpr length, mlir::Value iteration, llvm::ArrayRef<mlir::Value> caches) = 0;

  int64_t rowAxis = 0, timeAxis = 2; ///< of the caches

protected:
  /// Imports a network's nodes; its weights are those of `scope`.
  Values run(const onnx::GraphProto &graph, Scope &scope, llvm::ArrayRef<mlir::Value> feeds);
  /// Returns a cache without tokens of the type that an input declares; dims that are not `heads` and the last are given.
  mlir::Value makeEmptyCache(const onnx::ValueInfoProto &input, llvm::ArrayRef<mlir::AffineExpr> dims);

  SearchPlan &plan;
  Emitter &e;
};

/// Makes the network of the plan's model; null after a failure.
std::unique_ptr<Network> makeNetwork(SearchPlan &plan);

/// What a step chooses.
struct Chosen {
  Values states;
  mlir::Value tokens; ///< [rows, 1] i32
  mlir::Value rows;   ///< [rows] i64: the row that each continues; null where it is its own
  mlir::Value goesOn; ///< [] i1
  Values stacked;     ///< values that are kept of every step
};

class Choice {
public:
  explicit Choice(SearchPlan &plan) : plan(plan), e(plan.e) {}
  virtual ~Choice() = default;
  /// Returns the states before the first step; the sequences [rows, most] are the first.
  virtual Values begin(mlir::Value sequences) = 0;
  /// Chooses by logits [rows, words] in f32; the sequences have `length` tokens.
  virtual Chosen choose(mlir::Value logits, llvm::ArrayRef<mlir::Value> states, mlir::AffineExpr length, bool isFirst) = 0;
  /// Sets the node's outputs; `stacked` has the values of all steps along a new first dim.
  virtual void finish(llvm::ArrayRef<mlir::Value> states, mlir::AffineExpr length, llvm::ArrayRef<mlir::Value> stacked) = 0;

protected:
  /// Writes tokens [rows, 1] behind `length` ones of the sequences.
  mlir::Value append(mlir::Value sequences, mlir::Value tokens, mlir::AffineExpr length);

  SearchPlan &plan;
  Emitter &e;
};

std::unique_ptr<Choice> makeBeamChoice(SearchPlan &plan);
std::unique_ptr<Choice> makeGreedyChoice(SearchPlan &plan);
std::unique_ptr<Choice> makeSamplingChoice(SearchPlan &plan);

/// Changes scores [rows, words] by what the plan says about the tokens so far.
mlir::Value processScores(const SearchPlan &plan, mlir::Value scores, mlir::Value sequences, mlir::AffineExpr length, bool isFirst);

} // namespace onager::frontend

#endif
