// The variants of a model's code that are ready to run. Publishing replaces a table; runs keep the one that they have seen.
#ifndef ONAGER_RUNTIME_CORE_VARIANTS_H
#define ONAGER_RUNTIME_CORE_VARIANTS_H

#include "runtime/core/model.h"
#include <atomic>
#include <memory>
#include <mutex>

namespace onager::rt {

/// Code for the shapes that a guard describes.
struct Variant {
  Code code;
  std::shared_ptr<Model> owner;   ///< holds the code of a variant that was loaded by itself; null for those of the artifact
  uint64_t bytes = 0;             ///< that it takes, code and weights; 0 for those of the artifact
  std::atomic<uint64_t> hits{0};
  double genericSeconds = 0;      ///< that a run of its shape took in the generic form; 0: not known
  std::atomic<uint64_t> judged{0}; ///< runs whose time was looked at
  std::atomic<double> fastest{0};  ///< of them, in seconds

  const Guard &guard() const { return code.manifest.guard; }
};

/// Variants in the order in which their guards are tried: a guard that implies another comes first, then what was hit more often.
struct VariantTable {
  VariantTable() = default;
  explicit VariantTable(std::vector<std::shared_ptr<Variant>> variants);
  /// Returns the first variant whose guard holds, or null.
  Variant *find(const int64_t *symbols) const;
  /// Variants that do not come from the artifact, and the bytes that they take.
  size_t count(uint64_t &bytes) const;

  const std::vector<std::shared_ptr<Variant>> variants;

private:
  /// What the first condition of a guard demands of a symbol, and where the others lie.
  struct Entry {
    uint64_t symbol;
    int64_t least;
    uint64_t span; ///< from the least value to the most
    size_t first, end;
  };
  std::vector<Entry> entries;
  std::vector<Atom> atoms; ///< of all guards in a row, so that a search walks through memory once
};

/// The variants of one model. Thread-safe.
class VariantSet {
public:
  /// Changes with every change of the table.
  uint64_t generation() const { return current.load(std::memory_order_acquire); }
  std::shared_ptr<const VariantTable> get() const;
  /// Adds a variant, in the place of one with the same guard.
  void publish(std::shared_ptr<Variant> variant);
  /// Takes a variant out; false where it is gone already.
  bool remove(const Variant &variant);
  /// Takes out the variant with the fewest hits of late, if it is not one of the artifact's; returns its guard, or false.
  bool evict(Guard &guard);
  /// Of the present table.
  size_t count(uint64_t &bytes) const { return get()->count(bytes); }

private:
  void replace(std::vector<std::shared_ptr<Variant>> variants);
  mutable std::mutex lock;
  std::shared_ptr<const VariantTable> table = std::make_shared<VariantTable>();
  std::atomic<uint64_t> current{1};
};

/// Turns a loaded variant into one of `base`; fails where it is none of it. `file` holds its code from then on.
Outcome makeVariant(const Model &base, std::shared_ptr<Model> file, std::shared_ptr<Variant> &variant);

} // namespace onager::rt

#endif
