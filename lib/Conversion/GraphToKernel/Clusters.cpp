// Forms clusters of operations; see Clusters.h for why merging is safe. Test: convert-graph-to-kernel.mlir
#include "lib/Conversion/GraphToKernel/Clusters.h"
#include <queue>

using namespace mlir;

namespace onager {

/// More operations than this make one unit slow to compile and its registers spill.
static constexpr size_t kLargestCluster = 64;
/// Operands of one unit, bounded for the same reason.
static constexpr size_t kMostOperands = 48;

unsigned ClusterBuilder::find(unsigned number) {
  while (parent[number] != number)
    number = parent[number] = parent[parent[number]];
  return number;
}

std::optional<unsigned> ClusterBuilder::clusterOf(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op || op->getBlock() != &block)
    return std::nullopt;
  auto found = numberOf.find(op);
  if (found == numberOf.end())
    return std::nullopt;
  return find(found->second);
}

/// Calls `use` with each symbol that types and attributes of `op` mention.
static void forEachSymbolOf(Operation *op, function_ref<void(unsigned)> use) {
  auto visit = [&](Type type) {
    for (AffineExpr dim : graph::getDims(type))
      graph::forEachSymbol(dim, use);
  };
  for (Type type : op->getResultTypes())
    visit(type);
  for (Type type : op->getOperandTypes())
    visit(type);
  for (NamedAttribute attribute : op->getAttrs())
    if (auto map = dyn_cast<AffineMapAttr>(attribute.getValue()))
      for (AffineExpr expr : map.getValue().getResults())
        graph::forEachSymbol(expr, use);
}

SmallVector<unsigned> ClusterBuilder::dependencies(Operation *op) {
  llvm::SmallSetVector<unsigned, 8> reads;
  auto visit = [&](Operation *user) {
    for (Value operand : user->getOperands())
      if (std::optional<unsigned> number = clusterOf(operand))
        reads.insert(*number);
    forEachSymbolOf(user, [&](unsigned symbol) {
      if (auto found = symbolDefiner.find(symbol); found != symbolDefiner.end())
        reads.insert(find(found->second));
    });
  };
  op->walk(visit);
  return SmallVector<unsigned>(reads.begin(), reads.end());
}

unsigned ClusterBuilder::create(Operation *op, ArrayRef<unsigned> reads) {
  unsigned number = clusters.size();
  clusters.emplace_back();
  parent.push_back(number);
  Cluster &cluster = clusters.back();
  cluster.ops.push_back(op);
  numberOf[op] = number;
  if (op->getNumResults())
    cluster.shape = graph::getDims(op->getResult(0));
  for (unsigned read : reads) {
    cluster.level = std::max(cluster.level, clusters[read].level + 1);
    clusters[read].consumers.insert(number);
  }
  return number;
}

void ClusterBuilder::addProgramOp(Operation *op) {
  unsigned number = create(op, dependencies(op));
  clusters[number].program = true;
  clusters[number].constant = false;
  auto define = [&](int64_t symbol) { symbolDefiner[symbol] = number; };
  if (auto bind = dyn_cast<graph::BindOp>(op)) {
    int64_t count = cast<RankedTensorType>(bind.getSource().getType()).getNumElements();
    for (int64_t k = 0; k < count; ++k)
      define(bind.getFirst() + k);
  } else if (auto symbol = dyn_cast<graph::DefineOp>(op)) {
    define(symbol.getSymbol());
  }
  for (StringRef name : {"symbols", "result_symbols"})
    if (auto list = op->getAttrOfType<DenseI64ArrayAttr>(name))
      llvm::for_each(list.asArrayRef(), define);
}

bool ClusterBuilder::readsConstantsOnly(Operation *op) {
  bool constant = llvm::all_of(op->getOperands(), [&](Value operand) {
    Value source = graph::lookThroughViews(operand);
    std::optional<unsigned> number = clusterOf(source);
    return number ? clusters[*number].constant : graph::getConstantValue(source) != nullptr;
  });
  return constant && op->getNumOperands() != 0 && staysSmall(op);
}

bool ClusterBuilder::isSafe(unsigned target, ArrayRef<unsigned> reads, ArrayRef<unsigned> absorbed) {
  bool unread = llvm::all_of(clusters[target].consumers, [&](unsigned consumer) {
    unsigned root = find(consumer);
    return root == target || llvm::is_contained(absorbed, root);
  });
  if (unread)
    return true;
  return llvm::all_of(reads, [&](unsigned read) { return read == target || clusters[read].level < clusters[target].level; });
}

/// True where every use of the cluster's results is by `op` or inside the cluster itself or `target`.
bool ClusterBuilder::isOnlyReadBy(unsigned number, Operation *op, unsigned target) {
  for (Operation *member : clusters[number].ops)
    for (Operation *user : member->getUsers()) {
      if (user == op)
        continue;
      auto found = numberOf.find(user);
      if (found == numberOf.end())
        return false;
      unsigned root = find(found->second);
      if (root != number && root != target)
        return false;
    }
  return true;
}

/// True where an operation of the cluster that reads more than one element for each of its own, as products and windows do, reads what another cluster computes: that must be in memory by then.
bool ClusterBuilder::readsWhole(unsigned number, unsigned other) {
  return llvm::any_of(clusters[number].ops, [&](Operation *op) {
    bool isOpaque = getRole(op, fuse) == Role::opaque;
    if (op != clusters[number].hero && !isOpaque)
      return false;
    return llvm::any_of(llvm::enumerate(op->getOperands()), [&](auto operand) { return clusterOf(operand.value()) == other && (isOpaque || !takesPrologue(op, operand.index())); });
  });
}

/// Recomputes the level after operations were added.
void ClusterBuilder::refresh(unsigned number) {
  Cluster &cluster = clusters[number];
  for (Operation *op : cluster.ops)
    for (unsigned read : dependencies(op))
      if (read != number)
        cluster.level = std::max(cluster.level, clusters[read].level + 1);
}

void ClusterBuilder::merge(unsigned source, unsigned target) {
  Cluster &from = clusters[source], &into = clusters[target];
  into.ops.append(from.ops.begin(), from.ops.end());
  llvm::sort(into.ops, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  for (unsigned consumer : from.consumers)
    into.consumers.insert(consumer);
  from.dead = true;
  from.ops.clear();
  parent[source] = target;
  refresh(target);
  ++fused;
}

static bool sameShape(ArrayRef<AffineExpr> a, ArrayRef<AffineExpr> b) { return a == b; }

/// True where the cluster walks all its tensors alike, as the epilogue of a hero does.
bool ClusterBuilder::isPlain(unsigned number) {
  return llvm::all_of(clusters[number].ops, [&](Operation *op) { return getRole(op, fuse) == Role::elementwise; });
}

/// True for what widens bytes that are stored anyway, since others read them: the wide numbers would be stored as well, and belong to who reads them.
static bool widensStoredBytes(Operation *op) {
  auto cast = dyn_cast<graph::CastOp>(op);
  if (!cast || cast.getX().hasOneUse())
    return false;
  Type from = cast.getX().getType().getElementType();
  bool isByte = from.isSignlessInteger(8) || from.isUnsignedInteger(8);
  return isByte && graph::getElementBytes(cast.getType().getElementType()) > 1;
}

bool ClusterBuilder::join(Operation *op, ArrayRef<unsigned> reads, bool constant) {
  graph::Dims shape = graph::getDims(op->getResult(0));
  SmallVector<unsigned> candidates;
  for (unsigned read : reads) {
    Cluster &cluster = clusters[read];
    if (!cluster.program && cluster.epilogue && cluster.constant == constant && sameShape(cluster.shape, shape) && cluster.ops.size() < kLargestCluster)
      candidates.push_back(read);
  }
  llvm::stable_sort(candidates, [&](unsigned a, unsigned b) {
    return std::make_pair(clusters[a].hero != nullptr, clusters[a].level) > std::make_pair(clusters[b].hero != nullptr, clusters[b].level);
  });
  for (unsigned target : candidates) {
    SmallVector<unsigned> absorbed;
    for (unsigned other : candidates)
      if (other != target && !clusters[other].hero && (!clusters[target].hero || isPlain(other)) && isOnlyReadBy(other, op, target) && !readsWhole(target, other) &&
          clusters[other].ops.size() + clusters[target].ops.size() < kLargestCluster)
        absorbed.push_back(other);
    SmallVector<unsigned> allReads(reads);
    for (unsigned other : absorbed)
      for (Operation *member : clusters[other].ops)
        llvm::append_range(allReads, dependencies(member));
    llvm::erase_if(allReads, [&](unsigned read) { return llvm::is_contained(absorbed, read); });
    if (!isSafe(target, allReads, absorbed))
      continue;
    clusters[target].ops.push_back(op);
    numberOf[op] = target;
    for (unsigned read : reads)
      if (read != target)
        clusters[read].consumers.insert(target);
    for (unsigned other : absorbed)
      merge(other, target);
    refresh(target);
    absorbScalars(op, target);
    ++fused;
    return true;
  }
  return false;
}

/// Takes in producers that only `op` reads and that it reads element by element.
void ClusterBuilder::absorbPrologue(Operation *op, unsigned target) {
  for (auto [position, operand] : llvm::enumerate(op->getOperands())) {
    std::optional<unsigned> source = clusterOf(operand);
    if (!source || *source == target || !takesPrologue(op, position))
      continue;
    Cluster &from = clusters[*source];
    if (from.program || from.hero || from.constant != clusters[target].constant || from.ops.size() + clusters[target].ops.size() > kLargestCluster)
      continue;
    // Windows and the like read their operands many times: they run in loops of their own.
    if (llvm::any_of(from.ops, [&](Operation *member) { return getRole(member, fuse) == Role::opaque || !takesProducer(op, member); }))
      continue;
    if (isOnlyReadBy(*source, op, target))
      merge(*source, target);
  }
}

/// Takes in the copies of caches that attention writes while it reads them. Nothing reads them but the end of the block, so that the merge is safe. Many queries are shared among threads, which find
/// new rows in memory.
void ClusterBuilder::absorbCaches(Operation *op, unsigned target) {
  auto attention = dyn_cast<graph::AttentionOp>(op);
  if (!attention || !takesCaches(attention))
    return;
  unsigned k = *clusterOf(attention.getK()), v = *clusterOf(attention.getV());
  bool hasOneRow = graph::isConstant(graph::getDims(attention.getResult()).end()[-2], 1);
  auto isFit = [&](unsigned cache) {
    return llvm::all_of(clusters[cache].ops, [&](Operation *member) { return member == clusters[cache].hero || hasOneRow || takesProducer(op, member); });
  };
  if (clusters[k].ops.size() + clusters[v].ops.size() + clusters[target].ops.size() > kLargestCluster || !isFit(k) || !isFit(v))
    return;
  merge(k, target);
  merge(v, target);
}

/// Takes in maps that compute a single element: cheaper to repeat than to launch.
void ClusterBuilder::absorbScalars(Operation *op, unsigned target) {
  for (Value operand : op->getOperands()) {
    std::optional<unsigned> source = clusterOf(operand);
    if (!source || *source == target)
      continue;
    Cluster &from = clusters[*source];
    bool single = graph::isConstant(graph::getNumElements(op->getContext(), from.shape), 1);
    if (!single || from.program || from.hero || from.constant != clusters[target].constant || from.ops.size() > 8 || !llvm::all_of(from.ops, isCheap))
      continue;
    if (isOnlyReadBy(*source, op, target))
      merge(*source, target);
  }
}

void ClusterBuilder::run() {
  for (Operation &op : block.without_terminator()) {
    if (isa<graph::ConstantOp>(op))
      continue;
    Role role = getRole(&op, fuse);
    if (role == Role::program) {
      addProgramOp(&op);
      continue;
    }
    SmallVector<unsigned> reads = dependencies(&op);
    bool constant = fuse && readsConstantsOnly(&op);
    if (fuse && role == Role::elementwise && reads.size() < kMostOperands && !widensStoredBytes(&op) && join(&op, reads, constant))
      continue;
    unsigned number = create(&op, reads);
    Cluster &cluster = clusters[number];
    cluster.constant = constant;
    cluster.epilogue = takesEpilogue(&op);
    if (role == Role::hero)
      cluster.hero = &op;
    if (!fuse)
      continue;
    absorbPrologue(&op, number);
    absorbCaches(&op, number);
    if (role == Role::elementwise)
      absorbScalars(&op, number);
  }
}

SmallVector<Cluster *> ClusterBuilder::schedule() {
  DenseMap<unsigned, unsigned> waiting;
  DenseMap<unsigned, SmallVector<unsigned>> readers;
  auto later = [&](unsigned a, unsigned b) { return clusters[b].ops.back()->isBeforeInBlock(clusters[a].ops.back()); };
  std::priority_queue<unsigned, std::vector<unsigned>, decltype(later)> ready(later);
  for (unsigned number = 0; number < clusters.size(); ++number) {
    if (clusters[number].dead)
      continue;
    llvm::SmallSetVector<unsigned, 8> reads;
    for (Operation *op : clusters[number].ops)
      for (unsigned read : dependencies(op))
        if (read != number)
          reads.insert(read);
    waiting[number] = reads.size();
    for (unsigned read : reads)
      readers[read].push_back(number);
    if (reads.empty())
      ready.push(number);
  }
  SmallVector<Cluster *> order;
  while (!ready.empty()) {
    unsigned number = ready.top();
    ready.pop();
    order.push_back(&clusters[number]);
    for (unsigned reader : readers[number])
      if (--waiting[reader] == 0)
        ready.push(reader);
  }
  return order;
}

} // namespace onager
