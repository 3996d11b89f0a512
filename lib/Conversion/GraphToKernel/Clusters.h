// Which operations of one block share a launch unit.
//
// Clusters are sets of operations with at most one hero. Operations are added in program order; a cluster's level is the
// longest path to it from the block's inputs, so an operation of a lower level never depends on it. That makes each merge test
// constant in the number of clusters: joining cluster C is safe where C has no consumer outside yet, or where all other operands come
// from lower levels than C's.
#ifndef ONAGER_CONVERSION_GRAPHTOKERNEL_CLUSTERS_H
#define ONAGER_CONVERSION_GRAPHTOKERNEL_CLUSTERS_H

#include "dialects/Graph/IR/Shapes.h"
#include "lib/Conversion/GraphToKernel/UnitShape.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SetVector.h"

namespace onager {

struct Cluster {
  llvm::SmallVector<mlir::Operation *> ops; ///< in program order
  mlir::Operation *hero = nullptr;          ///< the operation whose emitter drives the loops; null for maps
  graph::Dims shape;                        ///< of everything that the unit may write
  int64_t level = 0;
  bool constant = true;  ///< reads constants only, and its result is worth keeping
  bool epilogue = true;  ///< may compute more behind its hero
  bool program = false;  ///< one operation that stays in the program
  bool dead = false;     ///< merged into another
  llvm::SmallSetVector<unsigned, 4> consumers; ///< clusters that read it (by the number they had then)
};

class ClusterBuilder {
public:
  ClusterBuilder(mlir::Block &block, bool fuse) : block(block), fuse(fuse) {}
  /// Assigns every operation of the block (but its terminator) to a cluster.
  void run();
  /// Returns the live clusters in an order in which each comes after what it reads.
  llvm::SmallVector<Cluster *> schedule();
  /// Operations that joined a cluster with others.
  int64_t fused = 0;

private:
  unsigned find(unsigned number);
  std::optional<unsigned> clusterOf(mlir::Value value);
  llvm::SmallVector<unsigned> dependencies(mlir::Operation *op);
  unsigned create(mlir::Operation *op, llvm::ArrayRef<unsigned> reads);
  void addProgramOp(mlir::Operation *op);
  bool join(mlir::Operation *op, llvm::ArrayRef<unsigned> reads, bool constant);
  bool isSafe(unsigned target, llvm::ArrayRef<unsigned> reads, llvm::ArrayRef<unsigned> absorbed);
  void absorbPrologue(mlir::Operation *op, unsigned target);
  void absorbCaches(mlir::Operation *op, unsigned target);
  void absorbScalars(mlir::Operation *op, unsigned target);
  void merge(unsigned source, unsigned target);
  void refresh(unsigned number);
  bool readsConstantsOnly(mlir::Operation *op);
  bool isPlain(unsigned number);
  bool readsWhole(unsigned number, unsigned other);
  bool isOnlyReadBy(unsigned number, mlir::Operation *op, unsigned target);

  mlir::Block &block;
  bool fuse;
  std::vector<Cluster> clusters;
  std::vector<unsigned> parent;
  llvm::DenseMap<mlir::Operation *, unsigned> numberOf;
  llvm::DenseMap<unsigned, unsigned> symbolDefiner; ///< symbol -> cluster
};

} // namespace onager

#endif
