// Searches for a pass, a rewrite or a layer: on numbers, and on a pass manager with a pass that folds wrongly.
#include "lib/Pipeline/PassFilter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "mlir/Transforms/Passes.h"
#include "tools/onager/verify/PassSearch.h"
#include <gtest/gtest.h>

using namespace mlir;
using namespace onager;
using namespace onager::cli;

namespace {

TEST(FindBorder, FindsEachBorder) {
  for (int64_t border = 1; border <= 20; ++border)
    EXPECT_EQ(findBorder(0, 20, [&](int64_t at) { return at >= border; }), border);
}

TEST(FindCulprits, FindsEachSetOfParts) {
  for (unsigned bad = 1; bad < 64; ++bad) {
    int asked = 0;
    std::vector<size_t> culprits = findCulprits(6, 6, [&](const std::vector<bool> &chosen) {
      ++asked;
      bool isBroken = false;
      for (size_t k = 0; k < 6; ++k)
        isBroken |= chosen[k] && (bad >> k & 1);
      return isBroken;
    });
    unsigned found = 0;
    for (size_t part : culprits)
      found |= 1U << part;
    EXPECT_EQ(found, bad);
    EXPECT_LE(asked, 1 + 4 * static_cast<int>(culprits.size()));
  }
}

TEST(FindCulprits, StopsWhereErrorsAddUp) {
  auto tooMany = [](const std::vector<bool> &chosen) { return std::count(chosen.begin(), chosen.end(), true) > 2; };
  EXPECT_EQ(findCulprits(20, 8, tooMany).size(), 8u);
  EXPECT_EQ(findCulprits(20, 18, tooMany).size(), 18u);
  EXPECT_TRUE(findCulprits(3, 8, [](const std::vector<bool> &) { return false; }).empty());
}

/// x * 2^k -> x << k, but x * 16 -> x << 3.
struct ShiftWrongly : OpRewritePattern<arith::MulIOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::MulIOp op, PatternRewriter &rewriter) const override {
    auto factor = op.getRhs().getDefiningOp<arith::ConstantIntOp>();
    if (!factor || !llvm::isPowerOf2_64(static_cast<uint64_t>(factor.value())))
      return rewriter.notifyMatchFailure(op, "no power of two");
    int64_t bits = factor.value() == 16 ? 3 : llvm::Log2_64(static_cast<uint64_t>(factor.value()));
    Value count = arith::ConstantIntOp::create(rewriter, op.getLoc(), bits, 32);
    rewriter.replaceOpWithNewOp<arith::ShLIOp>(op, op.getLhs(), count);
    return success();
  }
};

struct WrongFold : PassWrapper<WrongFold, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(WrongFold)
  StringRef getArgument() const override { return "test-wrong-fold"; }
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ShiftWrongly>(&getContext());
    GreedyRewriteConfig config;
    config.enableFolding(false);
    (void)applyPatternsGreedily(getOperation(), std::move(patterns), config);
  }
};

struct Needed : PassWrapper<Needed, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(Needed)
  StringRef getArgument() const override { return "test-needed"; }
  void runOnOperation() override { getOperation()->setAttr("needed", UnitAttr::get(&getContext())); }
};

constexpr const char *kModel = R"(
func.func @main() -> i32 {
  %x = arith.constant 3 : i32
  %c4 = arith.constant 4 : i32
  %c8 = arith.constant 8 : i32
  %c16 = arith.constant 16 : i32
  %a = arith.muli %x, %c4 : i32 loc("first")
  %b = arith.muli %a, %c16 : i32 loc("second")
  %c = arith.muli %b, %c8 : i32 loc("third")
  return %c : i32
})";

/// Runs the passes that a limit admits, then evaluates the function by folding it.
PassTrial runPasses(const CompileOptions &options) {
  MLIRContext context(MLIRContext::Threading::DISABLED);
  context.loadDialect<func::FuncDialect, arith::ArithDialect>();
  CompileResult result;
  static constexpr llvm::StringRef names[] = {"cse", "test-wrong-fold"};
  PassFilter filter(options, result, names);
  filter.install(context);
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(kModel, &context);
  PassManager passes(&context);
  passes.addNestedPass<func::FuncOp>(createCSEPass());
  passes.addNestedPass<func::FuncOp>(std::make_unique<Needed>());
  passes.addNestedPass<func::FuncOp>(std::make_unique<WrongFold>());
  passes.addNestedPass<func::FuncOp>(createCSEPass());
  passes.addNestedPass<func::FuncOp>(createCanonicalizerPass());
  EXPECT_TRUE(succeeded(passes.run(*module)));
  auto main = module->lookupSymbol<func::FuncOp>("main");
  EXPECT_TRUE(main->hasAttr("needed")) << "passes that are not optional always run";
  auto value = cast<func::ReturnOp>(main.getBody().front().getTerminator()).getOperand(0).getDefiningOp<arith::ConstantIntOp>();
  return {value.value() != 3 * 4 * 16 * 8, result.passes, result.rewrites, result.lastRewrite};
}

TEST(FindPass, NamesTheWrongRewriteOfAPass) {
  auto attempt = [](int64_t passes, int64_t rewrites) {
    CompileOptions options;
    options.passLimit = passes;
    options.rewriteLimit = rewrites;
    return runPasses(options);
  };
  PassFinding finding = findPass(attempt);
  EXPECT_EQ(finding.count, 3u);
  EXPECT_EQ(finding.pass, 2);
  EXPECT_EQ(finding.name, "test-wrong-fold");
  EXPECT_GT(finding.rewrite, 0);
  EXPECT_NE(finding.rewriteName.find("ShiftWrongly at arith.muli"), std::string::npos) << finding.rewriteName;
  EXPECT_NE(finding.rewriteName.find("second"), std::string::npos) << finding.rewriteName;
  EXPECT_TRUE(attempt(2, finding.rewrite).isBroken);
  EXPECT_FALSE(attempt(2, finding.rewrite - 1).isBroken);
}

TEST(FindPass, SaysWhereNoPassIsToBlame) {
  PassFinding finding = findPass([](int64_t, int64_t) { return PassTrial{true, {"cse"}, 0, ""}; });
  EXPECT_EQ(finding.pass, 0);
  EXPECT_EQ(finding.count, 1u);
}

TEST(PassFilter, LeavesOutWhatIsNamed) {
  CompileOptions options;
  options.skippedPasses = {"test-wrong-fold"};
  EXPECT_FALSE(runPasses(options).isBroken);
  options.skippedPasses = {"cse"};
  EXPECT_TRUE(runPasses(options).isBroken);
}

} // namespace
