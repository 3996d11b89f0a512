// Tables of variants.
#include "runtime/core/variants.h"
#include <algorithm>

namespace onager::rt {

VariantTable::VariantTable(std::vector<std::shared_ptr<Variant>> ordered) : variants(std::move(ordered)) {
  std::vector<Atom> all;
  for (const std::shared_ptr<Variant> &variant : variants)
    all.insert(all.end(), variant->guard().begin(), variant->guard().end());
  auto countUses = [&](const Atom &atom) { return std::count(all.begin(), all.end(), atom); };
  for (const std::shared_ptr<Variant> &variant : variants) {
    Guard guard = variant->guard();
    // What few guards demand tells variants apart: it comes first, and most searches look at no more.
    auto rarest = std::min_element(guard.begin(), guard.end(), [&](const Atom &a, const Atom &b) { return countUses(a) < countUses(b); });
    if (rarest != guard.end())
      std::iter_swap(guard.begin(), rarest);
    Entry entry{0, 0, UINT64_MAX, atoms.size(), atoms.size() + guard.size()};
    if (!guard.empty() && (guard[0].kind == Atom::Equal || guard[0].kind == Atom::Range)) {
      entry.symbol = guard[0].symbol;
      entry.least = guard[0].a;
      entry.span = guard[0].kind == Atom::Equal ? 0 : static_cast<uint64_t>(guard[0].b) - static_cast<uint64_t>(guard[0].a);
    }
    entries.push_back(entry);
    atoms.insert(atoms.end(), guard.begin(), guard.end());
  }
}

Variant *VariantTable::find(const int64_t *symbols) const {
  for (const Entry &entry : entries) {
    bool isWithin = static_cast<uint64_t>(symbols[entry.symbol]) - static_cast<uint64_t>(entry.least) <= entry.span;
    if (isWithin && holds(std::span(atoms).subspan(entry.first, entry.end - entry.first), symbols))
      return variants[static_cast<size_t>(&entry - entries.data())].get();
  }
  return nullptr;
}

std::shared_ptr<const VariantTable> VariantSet::get() const {
  std::lock_guard<std::mutex> guard(lock);
  return table;
}

/// REQUIRES: the lock is held.
void VariantSet::replace(std::vector<std::shared_ptr<Variant>> variants) {
  // Runs go on counting meanwhile: an order needs numbers that stay.
  std::vector<std::pair<uint64_t, std::shared_ptr<Variant>>> counted;
  for (std::shared_ptr<Variant> &variant : variants) {
    uint64_t hits = variant->hits.load();
    auto place = std::find_if(counted.begin(), counted.end(), [&](const auto &other) { return other.first < hits; });
    counted.emplace(place, hits, std::move(variant));
  }
  // Each goes before the first that it implies; what comes before that stays there, so that the order of hits is kept where guards do not say more.
  std::vector<std::shared_ptr<Variant>> ordered;
  for (auto &[hits, variant] : counted) {
    auto place = std::find_if(ordered.begin(), ordered.end(), [&](const auto &other) { return implies(variant->guard(), other->guard()); });
    ordered.insert(place, std::move(variant));
  }
  table = std::make_shared<VariantTable>(std::move(ordered));
  current.fetch_add(1, std::memory_order_release);
}

void VariantSet::publish(std::shared_ptr<Variant> variant) {
  std::lock_guard<std::mutex> guard(lock);
  std::vector<std::shared_ptr<Variant>> variants;
  for (const std::shared_ptr<Variant> &other : table->variants)
    if (!(other->guard() == variant->guard()))
      variants.push_back(other);
  variants.push_back(std::move(variant));
  replace(std::move(variants));
}

bool VariantSet::remove(const Variant &variant) {
  std::lock_guard<std::mutex> guard(lock);
  std::vector<std::shared_ptr<Variant>> variants = table->variants;
  auto gone = std::remove_if(variants.begin(), variants.end(), [&](const auto &other) { return other.get() == &variant; });
  if (gone == variants.end())
    return false;
  variants.erase(gone, variants.end());
  replace(std::move(variants));
  return true;
}

bool VariantSet::evict(Guard &evicted) {
  std::lock_guard<std::mutex> guard(lock);
  std::vector<std::shared_ptr<Variant>> variants = table->variants;
  auto least = variants.end();
  for (auto it = variants.begin(); it != variants.end(); ++it)
    if ((*it)->owner && (least == variants.end() || (*it)->hits.load() < (*least)->hits.load()))
      least = it;
  if (least == variants.end())
    return false;
  evicted = (*least)->guard();
  variants.erase(least);
  // Old fame fades: what was hit long ago makes room for what is hit now.
  for (const std::shared_ptr<Variant> &variant : variants)
    variant->hits.store(variant->hits.load() / 2);
  replace(std::move(variants));
  return true;
}

size_t VariantTable::count(uint64_t &bytes) const {
  size_t number = 0;
  bytes = 0;
  for (const std::shared_ptr<Variant> &variant : variants)
    if (variant->owner) {
      ++number;
      bytes += variant->bytes;
    }
  return number;
}

/// True where both describe tensors of the same names, types and ranks.
static bool isAlike(const std::vector<TensorInfo> &a, const std::vector<TensorInfo> &b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const TensorInfo &x, const TensorInfo &y) { return x.name == y.name && x.dtype == y.dtype && x.dims.size() == y.dims.size(); });
}

Outcome makeVariant(const Model &base, std::shared_ptr<Model> file, std::shared_ptr<Variant> &variant) {
  const Manifest &generic = base.generic.manifest;
  Manifest &manifest = file->generic.manifest;
  bool fits = isAlike(generic.inputs, manifest.inputs) && isAlike(generic.outputs, manifest.outputs) && generic.strings == manifest.strings &&
              generic.operators.size() == manifest.operators.size() && generic.symbols.size() <= manifest.symbols.size() && !manifest.guard.empty() &&
              std::equal(generic.symbols.begin(), generic.symbols.end(), manifest.symbols.begin());
  for (const Atom &atom : manifest.guard)
    fits = fits && atom.symbol < generic.symbols.size() && (atom.kind != Atom::Same || static_cast<uint64_t>(atom.a) < generic.symbols.size());
  if (!fits)
    return failure(ONAGER_BAD_FILE, "the variant is none of this model");
  variant = std::make_shared<Variant>();
  variant->bytes = file->size();
  variant->code = std::move(file->generic);
  variant->code.ownWeights = variant->code.weights;
  variant->code.weights = base.generic.weights;
  variant->owner = std::move(file);
  return {};
}

} // namespace onager::rt
