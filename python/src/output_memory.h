// Memory of arrays that runs return, used again once Python has dropped them: pages that the system hands out are filled with zeros first, which costs as
// much as small models take.
#ifndef ONAGER_PYTHON_OUTPUT_MEMORY_H
#define ONAGER_PYTHON_OUTPUT_MEMORY_H

#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <nanobind/nanobind.h>

namespace onager::python {

/// Blocks of a session's outputs. Arrays may outlive the session: each keeps its memory, and the pool, alive. All functions are safe to call from any thread.
class OutputMemory : public std::enable_shared_from_this<OutputMemory> {
public:
  /// Arrays below this size are left to NumPy: malloc keeps such blocks itself.
  static constexpr size_t kLeastBytes = 128 << 10;

  ~OutputMemory();
  /// Returns at least `bytes` bytes, aligned to 64, and the object whose end gives them back. Throws std::bad_alloc.
  std::pair<void *, nanobind::object> take(size_t bytes);
  /// Keeps this many bytes of unused blocks at most from now on: what a run's outputs take.
  void keep(size_t bytes);

private:
  struct Block {
    void *address;
    size_t bytes;
  };
  struct Owner;
  void giveBack(Block block);
  void shrink(size_t bytes);

  std::mutex lock;
  std::deque<Block> idle; ///< the longest unused first
  size_t idleBytes = 0, mostIdleBytes = 0;
};

} // namespace onager::python

#endif
