// launch @pointwise, launch @depthwise -> one launch, whose unit computes both band by band. Test: kernel-fuse-depthwise.mlir
#include "dialects/Graph/IR/Shapes.h"
#include "dialects/Kernel/Transforms/Passes.h"
#include "mlir/IR/IRMapping.h"

#define DEBUG_TYPE "kernel-fuse-depthwise"

using namespace mlir;

namespace onager::kernel {
#define GEN_PASS_DEF_KERNELFUSEDEPTHWISE
#include "dialects/Kernel/Transforms/Passes.h.inc"

namespace {

/// Input channels of the pointwise convolution: the work of more hides what planes cost that go to memory and back, and gathering pixels band by band slows it
/// down by more than that, whatever the size of the planes.
constexpr int64_t kMostChannels = 32;
/// Output channels: fewer are computed faster than planes are read.
constexpr int64_t kFewestOutChannels = 16;
/// Steps of the windows along a row, and their taps, that the emitter takes.
constexpr int64_t kMostStride = 2, kMostTaps = 25;

/// The only convolution of a unit.
graph::ConvOp findConv(UnitOp unit) {
  graph::ConvOp found;
  for (auto op : unit.getBody().front().getOps<graph::ConvOp>()) {
    if (found)
      return {};
    found = op;
  }
  return found;
}

ArrayRef<int64_t> getWindow(graph::ConvOp op) { return cast<RankedTensorType>(op.getFilter().getType()).getShape().drop_front(2); }

/// A tensor that is the same for all pixels of a plane.
bool hasNoPixels(Value tensor, size_t spatial) {
  graph::Dims dims = graph::getDims(tensor);
  return llvm::all_of(ArrayRef(dims).take_back(std::min(dims.size(), spatial)), [](AffineExpr dim) { return graph::isConstant(dim, 1); });
}

/// One tap under each pixel, and an epilogue that reads nothing else of the size of a plane.
bool isPointwise(UnitOp unit) {
  graph::ConvOp op = unit.getHero() == Hero::conv ? findConv(unit) : graph::ConvOp();
  if (!op || op.getGroup() != 1 || getWindow(op).size() != 2)
    return false;
  graph::Dims x = graph::getDims(op.getX()), out = graph::getDims(op.getResult());
  bool isPlain = llvm::all_of(getWindow(op), [](int64_t extent) { return extent == 1; }) && llvm::all_of(op.getStrides(), [](int64_t stride) { return stride == 1; }) &&
                 ArrayRef(x).drop_front(2) == ArrayRef(out).drop_front(2);
  Block &body = unit.getBody().front();
  bool isSingle = body.getTerminator()->getNumOperands() == 1 && isa<BlockArgument>(op.getX()) && isa<BlockArgument>(op.getFilter());
  auto filter = cast<RankedTensorType>(op.getFilter().getType());
  bool hasRoom = filter.getDimSize(1) <= kMostChannels && filter.getDimSize(0) >= kFewestOutChannels;
  return isPlain && isSingle && hasRoom && op.getX() != op.getFilter() && op.getX().hasOneUse() && llvm::all_of(body.getArguments(), [&](Value argument) {
    return argument == op.getX() || argument == op.getFilter() || hasNoPixels(argument, 2);
  }) && llvm::all_of(body.without_terminator(), [&](Operation &inner) { return &inner == op || isa<graph::ConstantOp>(inner) || inner.hasTrait<graph::ElementwiseOp>(); });
}

/// Windows over each channel of an argument that nothing else in the unit reads.
bool takesBands(UnitOp unit) {
  graph::ConvOp op = unit.getHero() == Hero::depthwise ? findConv(unit) : graph::ConvOp();
  if (!op || getWindow(op).size() != 2 || op.getStrides()[1] > kMostStride || getWindow(op)[0] * getWindow(op)[1] > kMostTaps)
    return false;
  auto filter = cast<RankedTensorType>(op.getFilter().getType());
  return filter.getDimSize(0) == static_cast<int64_t>(op.getGroup()) && isa<BlockArgument>(op.getX()) && isa<BlockArgument>(op.getFilter()) && op.getX().hasOneUse();
}

/// False for results that are known to stay in the second-level cache until they are read.
bool leavesCache(RankedTensorType type, int64_t bytes) {
  ArrayRef<int64_t> dims = type.getShape().drop_front();
  return llvm::any_of(dims, ShapedType::isDynamic) || ShapedType::getNumElements(dims) * 4 > bytes;
}

struct FuseDepthwise : impl::KernelFuseDepthwiseBase<FuseDepthwise> {
  using KernelFuseDepthwiseBase::KernelFuseDepthwiseBase;

  void runOnOperation() override {
    // Two registers a vector leave too few for both: slower than two launches, as measured with AVX2.
    if (vectorBytes != 64)
      return;
    SmallVector<LaunchOp> launches;
    getOperation().walk([&](LaunchOp launch) { launches.push_back(launch); });
    SymbolTable symbols(getOperation());
    for (LaunchOp launch : launches)
      if (LaunchOp producer = findProducer(launch, symbols)) {
        fuse(producer, launch, symbols);
        ++numFused;
      }
  }

  /// The launch whose result's pixels `launch` slides its windows over, if both can be one.
  LaunchOp findProducer(LaunchOp launch, SymbolTable &symbols) {
    auto unit = symbols.lookup<UnitOp>(launch.getUnit());
    if (!takesBands(unit))
      return {};
    Value planes = launch.getInputs()[cast<BlockArgument>(findConv(unit).getX()).getArgNumber()];
    auto producer = planes.getDefiningOp<LaunchOp>();
    if (!producer || producer->getBlock() != launch->getBlock() || !planes.hasOneUse() || !isPointwise(symbols.lookup<UnitOp>(producer.getUnit())))
      return {};
    return leavesCache(cast<RankedTensorType>(planes.getType()), cacheBytes) ? producer : LaunchOp();
  }

  void fuse(LaunchOp producer, LaunchOp launch, SymbolTable &symbols) {
    auto first = symbols.lookup<UnitOp>(producer.getUnit()), second = symbols.lookup<UnitOp>(launch.getUnit());
    unsigned planes = cast<BlockArgument>(findConv(second).getX()).getArgNumber();
    OpBuilder b(second);
    Location loc = b.getFusedLoc({first.getLoc(), second.getLoc()});
    auto unit = UnitOp::create(b, loc, second.getSymName(), Hero::pointwise_depthwise);
    Block *body = new Block();
    unit.getBody().push_back(body);
    IRMapping mapping;
    SmallVector<Value> inputs(producer.getInputs());
    auto addArguments = [&](Block &from) {
      for (BlockArgument argument : from.getArguments())
        if (!mapping.contains(argument))
          mapping.map(argument, body->addArgument(argument.getType(), argument.getLoc()));
    };
    auto clone = [&](Block &from) {
      OpBuilder inner = OpBuilder::atBlockEnd(body);
      for (Operation &op : from.without_terminator())
        inner.clone(op, mapping);
    };
    Block &before = first.getBody().front(), &behind = second.getBody().front();
    addArguments(before);
    clone(before);
    mapping.map(behind.getArgument(planes), mapping.lookup(before.getTerminator()->getOperand(0)));
    addArguments(behind);
    clone(behind);
    OpBuilder::atBlockEnd(body).clone(*behind.getTerminator(), mapping);
    for (auto [number, input] : llvm::enumerate(launch.getInputs()))
      if (number != planes)
        inputs.push_back(input);
    b.setInsertionPoint(launch);
    auto fused = LaunchOp::create(b, b.getFusedLoc({producer.getLoc(), launch.getLoc()}), launch.getResultTypes(), second.getSymName(), inputs);
    launch.replaceAllUsesWith(fused);
    launch.erase();
    producer.erase();
    symbols.erase(first);
    symbols.erase(second);
    symbols.insert(unit);
  }
};

} // namespace
} // namespace onager::kernel
