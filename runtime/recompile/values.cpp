// Telling frequent values from rare ones.
#include "runtime/recompile/values.h"
#include "runtime/core/guard.h"
#include <algorithm>

namespace onager::rt {

/// The place of a value: where it is, else a free one, else, for what is asked for, that of the rarest value; null where others stay.
ValueFilter::Place *ValueFilter::find(const int64_t *value, bool isAsked) {
  Place *rarest = nullptr;
  for (Place &place : places) {
    if (place.runs && std::equal(value, value + count, &values[static_cast<size_t>(&place - places) * count]))
      return &place;
    if (!place.isKept && (!rarest || place.runs < rarest->runs))
      rarest = &place;
  }
  if (!rarest || (rarest->runs && !isAsked))
    return nullptr;
  *rarest = {};
  std::copy(value, value + count, &values[static_cast<size_t>(rarest - places) * count]);
  return rarest;
}

void ValueFilter::apply(int64_t *shape, bool isAsked) {
  int64_t *value = shape + first;
  bool isKnown = std::find(value, value + count, kUnknownValue) == value + count;
  Place *place = isKnown ? find(value, isAsked) : nullptr;
  if (place) {
    ++place->runs;
    place->isKept |= isAsked || place->runs >= enough;
    if (place->isKept)
      return;
  } else if (isKnown) {
    for (Place &other : places)
      if (!other.isKept)
        --other.runs;
  }
  std::fill(value, value + count, kUnknownValue);
}

} // namespace onager::rt
