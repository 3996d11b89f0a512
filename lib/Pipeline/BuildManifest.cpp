// From planned IR to the manifest that travels with the code.
#include "lib/Pipeline/BuildManifest.h"
#include "dialects/Graph/IR/Shapes.h"
#include "dialects/Graph/Transforms/Guards.h"
#include "dialects/Kernel/IR/Kernel.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace onager {

using rt::Expr;

static void appendExpr(AffineExpr expr, Expr &out) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return out.tokens.push_back({Expr::Const, constant.getValue()});
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
    return out.tokens.push_back({Expr::Symbol, symbol.getPosition()});
  auto binary = cast<AffineBinaryOpExpr>(expr);
  appendExpr(binary.getLHS(), out);
  appendExpr(binary.getRHS(), out);
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    return out.tokens.push_back({Expr::Add, 0});
  case AffineExprKind::Mul:
    return out.tokens.push_back({Expr::Mul, 0});
  case AffineExprKind::Mod:
    return out.tokens.push_back({Expr::Mod, 0});
  case AffineExprKind::FloorDiv:
    return out.tokens.push_back({Expr::FloorDiv, 0});
  default:
    return out.tokens.push_back({Expr::CeilDiv, 0});
  }
}

static Expr makeExpr(AffineExpr expr) {
  Expr out;
  appendExpr(expr, out);
  return out;
}

/// ONNX's number of an element type.
static uint64_t getDataType(Type type) {
  static const std::pair<StringRef, uint64_t> names[] = {
      {"f32", 1}, {"ui8", 2}, {"i8", 3}, {"ui16", 4}, {"i16", 5}, {"i32", 6}, {"i64", 7}, {"i1", 9}, {"f16", 10}, {"f64", 11}, {"ui32", 12}, {"ui64", 13},
      {"bf16", 16}, {"f8E4M3FN", 17}, {"f8E4M3FNUZ", 18}, {"f8E5M2", 19}, {"f8E5M2FNUZ", 20}, {"ui4", 21}, {"i4", 22}, {"f4E2M1FN", 23}, {"f8E8M0FNU", 24},
      {"ui2", 25}, {"i2", 26}};
  std::string text;
  llvm::raw_string_ostream(text) << type;
  for (auto [name, number] : names)
    if (name == text)
      return number;
  return 0;
}

static Expr makeDefine(graph::DefineOp define) {
  Expr out;
  ArrayRef<AffineExpr> exprs = define.getExprs().getResults();
  auto fold = [&](Expr::Op op) {
    for (auto [k, expr] : llvm::enumerate(exprs)) {
      appendExpr(expr, out);
      if (k)
        out.tokens.push_back({op, 0});
    }
  };
  switch (define.getKind()) {
  case graph::DefineKind::max:
    fold(Expr::Max);
    break;
  case graph::DefineKind::min:
    fold(Expr::Min);
    break;
  case graph::DefineKind::broadcast:
    fold(Expr::Broadcast);
    break;
  case graph::DefineKind::trunc_div:
    fold(Expr::TruncDiv);
    break;
  case graph::DefineKind::select_equal:
    for (AffineExpr expr : exprs)
      appendExpr(expr, out);
    out.tokens.push_back({Expr::SelectEqual, 0});
    break;
  }
  return out;
}

/// ONNX's number of strings, whose elements are numbers of texts in the code.
static constexpr uint64_t kString = 8;

static rt::TensorInfo makeTensorInfo(Type type, DictionaryAttr attributes) {
  rt::TensorInfo info;
  info.name = attributes.getAs<StringAttr>("graph.name").str();
  info.dtype = attributes.contains("graph.string") ? kString : getDataType(cast<RankedTensorType>(type).getElementType());
  if (auto value = attributes.getAs<StringAttr>("graph.value")) {
    info.value = value.str();
    info.form = attributes.getAs<StringAttr>("graph.form").str();
  }
  for (AffineExpr dim : graph::getDims(type))
    info.dims.push_back(makeExpr(dim));
  return info;
}

/// The names of the nodes in a location, joined.
static std::string getNodes(Location loc) {
  std::string names;
  loc->walk([&](Location part) {
    if (auto named = dyn_cast<NameLoc>(part))
      names += (names.empty() ? "" : " ") + named.getName().str();
    return WalkResult::advance();
  });
  return names;
}

static void addSignature(func::FuncOp main, ArrayAttr buffers, rt::Manifest &manifest) {
  for (auto [k, type] : llvm::enumerate(main.getArgumentTypes()))
    manifest.inputs.push_back(makeTensorInfo(type, main.getArgAttrDict(k)));
  Operation *terminator = main.getBody().front().getTerminator();
  auto numbers = terminator->getAttrOfType<DenseI64ArrayAttr>("operand_buffers").asArrayRef();
  for (auto [k, value] : llvm::enumerate(terminator->getOperands())) {
    manifest.outputs.push_back(makeTensorInfo(value.getType(), main.getResultAttrDict(k)));
    auto buffer = cast<kernel::BufferAttr>(buffers[numbers[k]]);
    if (buffer.getKind() == kernel::BufferKind::block)
      manifest.outputs.back().block = buffer.getIndex();
  }
}

/// Reads what graph-specialize-symbols notes: the guard, and the symbols that stand for others divided.
static void addGuard(func::FuncOp main, rt::Manifest &manifest) {
  manifest.guard = graph::getGuard(main);
  for (const graph::InputElement &one : graph::getInputElements(main))
    manifest.values.push_back({one.symbol, one.input, one.element});
  if (auto multiples = main->getAttrOfType<DenseI64ArrayAttr>("graph.multiples"))
    for (ArrayRef<int64_t> rest = multiples.asArrayRef(); !rest.empty(); rest = rest.drop_front(3))
      manifest.derived.push_back({static_cast<uint64_t>(rest[0]), {{{Expr::Symbol, rest[1]}, {Expr::Const, rest[2]}, {Expr::FloorDiv, 0}}}});
}

static void addSymbols(func::FuncOp main, rt::Manifest &manifest) {
  manifest.symbols = graph::getSymbolNames(main);
  addGuard(main, manifest);
  llvm::DenseSet<unsigned> known;
  for (Type type : main.getArgumentTypes())
    for (AffineExpr dim : graph::getDims(type))
      graph::forEachSymbol(dim, [&](unsigned symbol) { known.insert(symbol); });
  for (auto define : main.getBody().front().getOps<graph::DefineOp>()) {
    bool ready = true;
    for (AffineExpr expr : define.getExprs().getResults())
      graph::forEachSymbol(expr, [&](unsigned symbol) { ready &= known.contains(symbol); });
    if (!ready)
      continue;
    known.insert(define.getSymbol());
    manifest.derived.push_back({static_cast<uint64_t>(define.getSymbol()), makeDefine(define)});
  }
}

/// The bytes of a unit's argument that a launch reads, where it does not read all of them: of tables the rows that are looked up, and nothing of the past that
/// attention reads instead of a copy. Null for others.
static AffineExpr countReadBytes(BlockArgument argument) {
  AffineExpr sum = getAffineConstantExpr(0, argument.getContext());
  for (OpOperand &use : argument.getUses()) {
    if (auto gather = dyn_cast<graph::GatherOp>(use.getOwner()); gather && use.getOperandNumber() == 0)
      sum = sum + graph::getNumElements(argument.getContext(), graph::getDims(gather.getResult())) * graph::getElementBytes(gather.getType().getElementType());
    else if (auto attention = dyn_cast<graph::AttentionOp>(use.getOwner()); !attention || (use.get() != attention.getPastK() && use.get() != attention.getPastV()))
      return {};
  }
  return sum;
}

/// The bytes of the buffers that a launch reads and writes, each counted once.
static AffineExpr countBytes(kernel::LaunchOp launch, kernel::UnitOp unit, ArrayAttr buffers) {
  llvm::SmallDenseSet<int64_t> touched;
  AffineExpr sum = getAffineConstantExpr(0, launch.getContext());
  auto touch = [&](int64_t number) {
    if (touched.insert(number).second)
      sum = sum + cast<kernel::BufferAttr>(buffers[number]).getBytes().getValue().getResult(0);
  };
  for (auto [number, argument] : llvm::zip_equal(launch->getAttrOfType<DenseI64ArrayAttr>("operand_buffers").asArrayRef(), unit.getBody().getArguments())) {
    AffineExpr read = countReadBytes(argument);
    read ? void(sum = sum + read) : touch(number);
  }
  for (int64_t number : launch->getAttrOfType<DenseI64ArrayAttr>("buffers").asArrayRef())
    touch(number);
  return sum;
}

static void addLaunches(ModuleOp module, func::FuncOp main, ArrayAttr buffers, rt::Manifest &manifest) {
  SymbolTable symbols(module);
  manifest.launches.resize(module->getAttrOfType<IntegerAttr>("kernel.launches").getInt());
  AffineExpr work = getAffineConstantExpr(0, module.getContext());
  main.walk([&](Operation *op) {
    auto ordinal = op->getAttrOfType<IntegerAttr>("ordinal");
    if (!ordinal)
      return;
    rt::Launch &launch = manifest.launches[ordinal.getInt()];
    launch.name = getNodes(op->getLoc());
    launch.hero = op->getName().stripDialect().str();
    if (auto kernelLaunch = dyn_cast<kernel::LaunchOp>(op)) {
      auto unit = symbols.lookup<kernel::UnitOp>(kernelLaunch.getUnit());
      AffineExpr operations = unit->getAttrOfType<AffineMapAttr>("operations").getValue().getResult(0);
      launch.hero = kernel::stringifyHero(unit.getHero()).str();
      launch.flops = makeExpr(operations * 2);
      launch.bytes = makeExpr(countBytes(kernelLaunch, unit, buffers));
      if (op->getParentOp() == main)
        work = work + operations;
    }
  });
  llvm::DenseSet<unsigned> known;
  for (Type type : main.getArgumentTypes())
    for (AffineExpr dim : graph::getDims(type))
      graph::forEachSymbol(dim, [&](unsigned symbol) { known.insert(symbol); });
  for (const rt::Derived &derived : manifest.derived)
    known.insert(derived.symbol);
  bool ready = true;
  graph::forEachSymbol(work, [&](unsigned symbol) { ready &= known.contains(symbol); });
  manifest.work = makeExpr(ready ? work : getAffineConstantExpr(int64_t(1) << 40, module.getContext()));
}

static int64_t getNumber(DictionaryAttr record, StringRef name) { return record.getAs<IntegerAttr>(name).getInt(); }

static std::vector<int64_t> getNumbers(DictionaryAttr record, StringRef name) {
  ArrayRef<int64_t> numbers = record.getAs<DenseI64ArrayAttr>(name).asArrayRef();
  return {numbers.begin(), numbers.end()};
}

static rt::AttributeInfo readAttribute(DictionaryAttr record) {
  rt::AttributeInfo attribute{record.getAs<StringAttr>("name").str(), static_cast<uint64_t>(getNumber(record, "type")), getNumbers(record, "ints"), {}, {}};
  ArrayRef<float> floats = record.getAs<DenseF32ArrayAttr>("floats").asArrayRef();
  attribute.floats.assign(floats.begin(), floats.end());
  for (auto text : record.getAs<ArrayAttr>("strings").getAsRange<StringAttr>())
    attribute.strings.push_back(text.str());
  return attribute;
}

/// Reads a record of a custom operator's node, whose form the importer's CustomOperators.cpp tells.
static rt::CustomNodeInfo readOperator(DictionaryAttr record) {
  rt::CustomNodeInfo info{record.getAs<StringAttr>("domain").str(), record.getAs<StringAttr>("type").str(), record.getAs<StringAttr>("node").str(),
                        static_cast<uint64_t>(getNumber(record, "version")), getNumbers(record, "inputs"), {}, {}};
  for (auto result : record.getAs<ArrayAttr>("results").getAsRange<DictionaryAttr>())
    info.results.push_back({static_cast<uint64_t>(getNumber(result, "dtype")), getNumbers(result, "dims")});
  for (auto attribute : record.getAs<ArrayAttr>("attributes").getAsRange<DictionaryAttr>())
    info.attributes.push_back(readAttribute(attribute));
  return info;
}

rt::Manifest buildManifest(ModuleOp module) {
  rt::Manifest manifest;
  auto main = module.lookupSymbol<func::FuncOp>("main");
  auto buffers = module->getAttrOfType<ArrayAttr>(kernel::kBuffersAttr);
  if (auto strings = main->getAttrOfType<ArrayAttr>("graph.strings"))
    for (Attribute text : strings)
      manifest.strings.push_back(cast<StringAttr>(text).str());
  if (auto operators = main->getAttrOfType<ArrayAttr>("graph.operators"))
    for (auto record : operators.getAsRange<DictionaryAttr>())
      manifest.operators.push_back(readOperator(record));
  addSymbols(main, manifest);
  addSignature(main, buffers, manifest);
  for (Attribute attribute : buffers) {
    auto buffer = cast<kernel::BufferAttr>(attribute);
    if (buffer.getKind() == kernel::BufferKind::block)
      ++manifest.blocks;
    if (buffer.getKind() == kernel::BufferKind::slot)
      manifest.slots.push_back({makeExpr(buffer.getBytes().getValue().getResult(0)), static_cast<uint64_t>(buffer.getFirst()),
                                static_cast<uint64_t>(buffer.getLast()), buffer.getPerThread()});
  }
  addLaunches(module, main, buffers, manifest);
  return manifest;
}

void finishManifest(ModuleOp module, rt::Manifest &manifest) {
  for (Attribute message : module->getAttrOfType<ArrayAttr>("kernel.errors"))
    manifest.errors.push_back(cast<StringAttr>(message).str());
  manifest.weightBytes = module->getAttrOfType<IntegerAttr>("kernel.weight_bytes").getInt();
}

} // namespace onager
