// The graph stage, in order.
#include "dialects/Graph/Transforms/Passes.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace onager::graph {

void addGraphStage(OpPassManager &passes, bool exact, bool int8, bool bf16) {
  OpPassManager &function = passes.nest<func::FuncOp>();
  function.addPass(createGraphNumberStrings());
  if (exact)
    return;
  function.addPass(createCSEPass());
  // First: simplification merges the movements that this makes.
  function.addPass(createGraphFoldScatter());
  function.addPass(createGraphSimplify());
  // Before quantised convolutions are raised, which read what is dequantised.
  function.addPass(createGraphFoldPad());
  function.addPass(createGraphFoldSlice());
  // Before scales are folded into filters, and divisions become products.
  if (int8) {
    function.addPass(createGraphHoistQuantize());
    function.addPass(createGraphRaiseInt8());
  }
  // Behind products of bytes, which take the same weights; before scales are folded, and products widened.
  function.addPass(createGraphRaiseBlockMatmul());
  // Early: what follows simplifies convolutions and data movements.
  function.addPass(createGraphExpandConvTranspose());
  // Before the patterns: they look for products.
  function.addPass(createGraphReduceStrength());
  function.addPass(createCSEPass());
  function.addPass(createGraphRaiseNormalize());
  function.addPass(createGraphRaiseSoftmax());
  function.addPass(createGraphRaiseGelu());
  function.addPass(createGraphRaiseSwish());
  // Behind simplification: identities between a convolution and its scale are gone.
  function.addPass(createGraphFoldScale());
  function.addPass(createCSEPass());
  // Behind scales, which are looked for behind convolutions.
  function.addPass(createGraphFlattenConv());
  // Behind it: slices of filters are no constants to it, and it takes taps from windows of one position itself.
  function.addPass(createGraphDropPaddedTaps());
  function.addPass(createGraphSplitPool());
  function.addPass(createGraphSplitReduce());
  // Behind all patterns, which then need to know one float type each; the last simplification takes the casts between operations.
  function.addPass(createGraphWidenFloats({bf16}));
  function.addPass(createGraphSimplify());
  // Behind widening: attention is of f32, and casts between its parts are gone.
  function.addPass(createGraphRaiseAttention());
  function.addPass(createGraphSimplify());
  function.addPass(createCSEPass());
}

} // namespace onager::graph
