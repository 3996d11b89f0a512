// Buffers, lifetimes and barriers of the program. Test: kernel-plan-buffers.mlir
//
// 1. What the input shapes alone decide is compared before anything is written: a result may be written through a view of another size.
// 2. Results that the program returns but did not compute (inputs, constants, views of them, repeated ones) get a copying unit.
// 3. Launches and calls are numbered in program order; this is the time scale of lifetimes.
// 4. Every tensor gets a buffer; views share one.
// 5. Barriers: a launch that reads what was written since the last barrier waits first.
// 6. A slot dies at the last launch before the barrier that follows its last reader: until then another thread may still read it.
#include "dialects/Graph/IR/Shapes.h"
#include "dialects/Kernel/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

#define DEBUG_TYPE "kernel-plan-buffers"

using namespace mlir;

namespace onager::kernel {
#define GEN_PASS_DEF_KERNELPLANBUFFERS
#include "dialects/Kernel/Transforms/Passes.h.inc"

namespace {

/// True for operations that run and take time: launches, calls, and control flow (which moves values).
bool isTimed(Operation *op) { return (isa<LaunchOp>(op) && !op->hasAttr("constant")) || isa<graph::CallOp, graph::IfOp, graph::LoopOp, graph::BindOp>(op); }

struct Plan {
  explicit Plan(ModuleOp module, func::FuncOp main) : module(module), main(main), context(module.getContext()) {}

  ModuleOp module;
  func::FuncOp main;
  MLIRContext *context;
  llvm::DenseMap<Value, int64_t> bufferOf;
  struct Buffer {
    BufferKind kind;
    int64_t index;
    AffineExpr bytes;
    int64_t first = 0, last = 0;
    bool perThread = false;
  };
  SmallVector<Buffer> buffers;
  SmallVector<Attribute> weights;
  int64_t slots = 0, blocks = 0, time = 0;
  llvm::DenseSet<unsigned> entrySymbols;
  SmallVector<int64_t> barrierTimes;

  void run();

private:
  void hoistRequirements();
  void copyReturned();
  void copyYielded();
  void collectEntrySymbols();
  bool isEntryKnown(AffineExpr expr);
  int64_t create(BufferKind kind, int64_t index, AffineExpr bytes);
  AffineExpr getBytes(Value value);
  AffineExpr getStorage(Value value);
  void assignReturned(Value value, int64_t output);
  void assignStorage(Value value);
  void assignWeight(Value value, DictionaryAttr entry);
  void assignBlock(Block &block);
  void assignOp(Operation &op);
  void assignConstantLaunch(LaunchOp launch);
  void number(Block &block);
  void placeBarriers(Block &block, llvm::DenseSet<int64_t> &fresh);
  void visitBarrier(Operation &op, llvm::DenseSet<int64_t> &fresh);
  void computeLifetimes();
  int64_t getSafeEnd(int64_t at);
  void touch(Value value, int64_t at);
  void annotate();
};

void Plan::run() {
  collectEntrySymbols();
  hoistRequirements();
  copyReturned();
  copyYielded();
  number(main.getBody().front());
  Block &body = main.getBody().front();
  for (auto [k, argument] : llvm::enumerate(body.getArguments()))
    bufferOf[argument] = create(BufferKind::input, k, getBytes(argument));
  for (auto [k, value] : llvm::enumerate(body.getTerminator()->getOperands()))
    assignReturned(value, k);
  assignBlock(body);
  llvm::DenseSet<int64_t> fresh;
  placeBarriers(body, fresh);
  computeLifetimes();
  annotate();
}

/// Makes a unit that copies a tensor like `value`.
void makeCopyUnit(OpBuilder &builder, ModuleOp module, Value value, StringRef name) {
  OpBuilder::InsertionGuard guard(builder);
  graph::Dims dims{graph::getNumElements(module.getContext(), graph::getDims(value))};
  RankedTensorType flat = graph::makeTensor(dims, cast<RankedTensorType>(value.getType()).getElementType());
  builder.setInsertionPointToEnd(module.getBody());
  auto unit = UnitOp::create(builder, value.getLoc(), name, Hero::map);
  Block *body = builder.createBlock(&unit.getBody(), {}, {flat}, {value.getLoc()});
  YieldOp::create(builder, value.getLoc(), body->getArguments());
  MLIRContext *context = module.getContext();
  unit->setAttr("items", graph::makeExprs(context, dims));
  unit->setAttr("operations", graph::makeExprs(context, dims));
  unit->setAttr("scratch", graph::makeExprs(context, {getAffineConstantExpr(0, context)}));
}

void Plan::hoistRequirements() {
  auto isKnown = [&](AffineMap exprs) { return llvm::all_of(exprs.getResults(), [&](AffineExpr expr) { return isEntryKnown(expr); }); };
  Block &body = main.getBody().front();
  auto front = body.begin();
  for (Operation &op : llvm::make_early_inc_range(body)) {
    auto define = dyn_cast<graph::DefineOp>(op);
    auto require = dyn_cast<graph::RequireOp>(op);
    if (!(define && isKnown(define.getExprs())) && !(require && isKnown(require.getExprs())))
      continue;
    if (front == op.getIterator())
      ++front;
    else
      op.moveBefore(&body, front);
  }
}

void Plan::copyReturned() {
  Operation *terminator = main.getBody().front().getTerminator();
  OpBuilder builder(terminator);
  llvm::DenseSet<Value> seen;
  for (OpOperand &operand : terminator->getOpOperands()) {
    Value root = graph::lookThroughViews(operand.get());
    Operation *op = root.getDefiningOp();
    // A view may have a size that is known beforehand where what it shows has none: the run must not write that before the sizes are compared.
    bool fits = isEntryKnown(getBytes(root)) || !isEntryKnown(getBytes(operand.get()));
    bool owned = op && isTimed(op) && op->getBlock() == terminator->getBlock() && fits && seen.insert(root).second;
    if (owned)
      continue;
    std::string name = "copy" + std::to_string(operand.getOperandNumber());
    makeCopyUnit(builder, module, operand.get(), name);
    auto launch = LaunchOp::create(builder, operand.get().getLoc(), TypeRange{operand.get().getType()}, name, operand.get());
    operand.set(launch.getResult(0));
  }
}

/// Copies yielded values that are carried arguments of other places: arguments are overwritten one after the other.
void Plan::copyYielded() {
  int64_t copies = 0;
  main.walk([&](graph::LoopOp loop) {
    Block &body = loop.getBody().front();
    Operation *yield = body.getTerminator();
    OpBuilder builder(yield);
    for (OpOperand &operand : yield->getOpOperands().slice(1, loop.getInits().size())) {
      auto argument = dyn_cast<BlockArgument>(graph::lookThroughViews(operand.get()));
      if (!argument || argument.getOwner() != &body || argument.getArgNumber() == operand.getOperandNumber() + 1)
        continue;
      std::string name = "copy_carried" + std::to_string(copies++);
      makeCopyUnit(builder, module, operand.get(), name);
      operand.set(LaunchOp::create(builder, loop.getLoc(), TypeRange{operand.get().getType()}, name, operand.get()).getResult(0));
    }
  });
}

void Plan::collectEntrySymbols() {
  for (Type type : main.getArgumentTypes())
    for (AffineExpr dim : graph::getDims(type))
      graph::forEachSymbol(dim, [&](unsigned symbol) { entrySymbols.insert(symbol); });
  for (auto define : main.getBody().front().getOps<graph::DefineOp>())
    if (llvm::all_of(define.getExprs().getResults(), [&](AffineExpr expr) { return isEntryKnown(expr); }))
      entrySymbols.insert(define.getSymbol());
}

bool Plan::isEntryKnown(AffineExpr expr) {
  bool known = true;
  graph::forEachSymbol(expr, [&](unsigned symbol) { known &= entrySymbols.contains(symbol); });
  return known;
}

int64_t Plan::create(BufferKind kind, int64_t index, AffineExpr bytes) {
  buffers.push_back({kind, index, bytes});
  return buffers.size() - 1;
}

AffineExpr Plan::getBytes(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  return graph::getNumElements(context, graph::getDims(value)) * graph::getElementBytes(type.getElementType());
}

/// The bytes that a value's buffer has when it is written: a call writes up to its capacity before its symbols are bound.
AffineExpr Plan::getStorage(Value value) {
  auto call = value.getDefiningOp<graph::CallOp>();
  if (!call || !call.getCapacity())
    return getBytes(value);
  int64_t elementBytes = graph::getElementBytes(cast<RankedTensorType>(value.getType()).getElementType());
  return call.getCapacity()->getResult(cast<OpResult>(value).getResultNumber()) * elementBytes;
}

/// What the program returns is written where the caller wants it. Where its shape depends on values, be it of no element, it needs a block, which the runtime
/// can describe after the run, even if it is a view of a tensor whose shape does not.
void Plan::assignReturned(Value value, int64_t output) {
  Value root = graph::lookThroughViews(value);
  bool isKnown = llvm::all_of(graph::getDims(value), [&](AffineExpr dim) { return isEntryKnown(dim); });
  bufferOf[root] = isKnown ? create(BufferKind::output, output, getBytes(value)) : create(BufferKind::block, blocks++, getStorage(root));
}

void Plan::assignStorage(Value value) {
  if (bufferOf.contains(value))
    return;
  AffineExpr bytes = getStorage(value);
  bool slot = isEntryKnown(bytes);
  bufferOf[value] = slot ? create(BufferKind::slot, slots++, bytes) : create(BufferKind::block, blocks++, bytes);
}

void Plan::assignWeight(Value value, DictionaryAttr entry) {
  bufferOf[value] = create(BufferKind::weight, weights.size(), getBytes(value));
  weights.push_back(entry);
}

void Plan::assignConstantLaunch(LaunchOp launch) {
  Builder b(context);
  SmallVector<int64_t> inputs;
  for (Value input : launch.getInputs())
    inputs.push_back(buffers[bufferOf[graph::lookThroughViews(input)]].index);
  for (auto [k, result] : llvm::enumerate(launch.getResults()))
    assignWeight(result, b.getDictionaryAttr({b.getNamedAttr("unit", launch.getUnitAttr()), b.getNamedAttr("inputs", b.getDenseI64ArrayAttr(inputs)),
                                              b.getNamedAttr("result", b.getI64IntegerAttr(k)),
                                              b.getNamedAttr("type", TypeAttr::get(result.getType()))}));
}

void Plan::assignOp(Operation &op) {
  Builder b(context);
  if (auto constant = dyn_cast<graph::ConstantOp>(op))
    return assignWeight(constant.getResult(), b.getDictionaryAttr({b.getNamedAttr("value", constant.getValue())}));
  if (auto launch = dyn_cast<LaunchOp>(op); launch && launch->hasAttr("constant"))
    return assignConstantLaunch(launch);
  if (isa<graph::ReshapeOp>(op))
    return;
  for (Region &region : op.getRegions())
    for (Block &block : region) {
      for (BlockArgument argument : block.getArguments())
        assignStorage(argument);
      assignBlock(block);
    }
  for (Value result : op.getResults())
    assignStorage(result);
}

void Plan::assignBlock(Block &block) {
  for (Operation &op : block.without_terminator())
    assignOp(op);
}

void Plan::number(Block &block) {
  Builder b(context);
  for (Operation &op : block.without_terminator()) {
    if (!isTimed(&op))
      continue;
    op.setAttr("ordinal", b.getI64IntegerAttr(time++));
    for (Region &region : op.getRegions())
      for (Block &inner : region)
        number(inner);
    if (op.getNumRegions())
      op.setAttr("end", b.getI64IntegerAttr(time++));
  }
}

/// Decides whether `op` waits for the others first. `fresh` holds the buffers written since the last barrier.
void Plan::visitBarrier(Operation &op, llvm::DenseSet<int64_t> &fresh) {
  bool grows = llvm::any_of(op.getResults(), [&](Value result) { return buffers[bufferOf[result]].kind == BufferKind::block; });
  bool waits = grows || op.getNumRegions() || llvm::any_of(op.getOperands(), [&](Value operand) { return fresh.contains(bufferOf[graph::lookThroughViews(operand)]); });
  if (waits) {
    fresh.clear();
    barrierTimes.push_back(op.getAttrOfType<IntegerAttr>("ordinal").getInt());
  }
  op.setAttr("barrier", BoolAttr::get(context, waits));
  for (Region &region : op.getRegions())
    for (Block &block : region) {
      llvm::DenseSet<int64_t> inner;
      placeBarriers(block, inner);
    }
  if (op.getNumRegions())
    barrierTimes.push_back(op.getAttrOfType<IntegerAttr>("end").getInt());
  for (Value result : op.getResults())
    fresh.insert(bufferOf[result]);
}

void Plan::placeBarriers(Block &block, llvm::DenseSet<int64_t> &fresh) {
  for (Operation &op : block.without_terminator())
    if (isTimed(&op))
      visitBarrier(op, fresh);
}

/// Returns the last time before the barrier that follows `at`.
int64_t Plan::getSafeEnd(int64_t at) {
  auto barrier = llvm::lower_bound(barrierTimes, at + 1);
  return barrier == barrierTimes.end() ? time : *barrier - 1;
}

/// Extends the life of a value's slot to `at` and on to the next barrier.
void Plan::touch(Value value, int64_t at) {
  Buffer &buffer = buffers[bufferOf[graph::lookThroughViews(value)]];
  buffer.last = std::max(buffer.last, getSafeEnd(at));
}

void Plan::computeLifetimes() {
  llvm::sort(barrierTimes);
  for (Buffer &buffer : buffers)
    buffer.first = time;
  main.walk([&](Operation *op) {
    if (op == main)
      return;
    auto ordinal = op->getAttrOfType<IntegerAttr>("ordinal");
    int64_t at = ordinal ? ordinal.getInt() : op->getParentOp() == main ? time : -1;
    if (!ordinal && !op->hasTrait<OpTrait::IsTerminator>())
      return;
    int64_t end = op->getNumRegions() ? op->getAttrOfType<IntegerAttr>("end").getInt() : at;
    if (at < 0)
      at = end = op->getParentOp()->getAttrOfType<IntegerAttr>("end").getInt();
    auto write = [&](Value value) {
      Buffer &buffer = buffers[bufferOf[graph::lookThroughViews(value)]];
      buffer.first = std::min(buffer.first, at);
      touch(value, end);
    };
    llvm::for_each(op->getResults(), write);
    for (Region &region : op->getRegions())
      for (BlockArgument argument : region.getArguments())
        write(argument);
    for (Value operand : op->getOperands()) {
      Value root = graph::lookThroughViews(operand);
      int64_t until = end;
      for (Operation *parent = op->getParentOp(); parent != main; parent = parent->getParentOp())
        if (!parent->isAncestor(root.getParentBlock()->getParentOp()))
          until = std::max(until, parent->getAttrOfType<IntegerAttr>("end").getInt());
      touch(operand, until);
    }
  });
}

void Plan::annotate() {
  Builder b(context);
  SymbolTable symbols(module);
  auto lookup = [&](ValueRange values) {
    SmallVector<int64_t> numbers;
    for (Value value : values)
      numbers.push_back(bufferOf[graph::lookThroughViews(value)]);
    return b.getDenseI64ArrayAttr(numbers);
  };
  main.walk([&](Operation *op) {
    if (op == main)
      return;
    if (auto launch = dyn_cast<LaunchOp>(op); launch && isTimed(op)) {
      auto scratch = symbols.lookup<UnitOp>(launch.getUnit())->getAttrOfType<AffineMapAttr>("scratch");
      int64_t number = -1;
      if (scratch && !graph::isConstant(scratch.getValue().getResult(0), 0)) {
        // A size that depends on values is known only when the launch comes.
        AffineExpr bytes = scratch.getValue().getResult(0);
        number = isEntryKnown(bytes) ? create(BufferKind::slot, slots++, bytes) : create(BufferKind::block, blocks++, bytes);
        buffers[number].perThread = true;
        buffers[number].first = op->getAttrOfType<IntegerAttr>("ordinal").getInt();
        buffers[number].last = getSafeEnd(buffers[number].first);
      }
      op->setAttr("scratch", b.getI64IntegerAttr(number));
    }
    op->setAttr("operand_buffers", lookup(op->getOperands()));
    if (op->getNumResults())
      op->setAttr("buffers", lookup(op->getResults()));
    if (op->getNumRegions() && op->getRegion(0).getNumArguments())
      op->setAttr("argument_buffers", lookup(op->getRegion(0).getArguments()));
  });
  SmallVector<Attribute> list;
  for (const Buffer &buffer : buffers)
    list.push_back(BufferAttr::get(context, buffer.kind, buffer.index, graph::makeExprs(context, {buffer.bytes}), buffer.first, buffer.last, buffer.perThread));
  module->setAttr(kBuffersAttr, b.getArrayAttr(list));
  module->setAttr(kWeightsAttr, b.getArrayAttr(weights));
  module->setAttr("kernel.launches", b.getI64IntegerAttr(time));
}

struct PlanBuffers : impl::KernelPlanBuffersBase<PlanBuffers> {
  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (!main)
      return;
    Plan(getOperation(), main).run();
  }
};

} // namespace
} // namespace onager::kernel
