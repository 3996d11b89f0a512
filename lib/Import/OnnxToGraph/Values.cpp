// Values that are no tensors, as lists of tensors.
#include "lib/Import/OnnxToGraph/Values.h"

using namespace mlir;

namespace onager::frontend {

size_t Form::countLeaves() const {
  switch (kind) {
  case Datum::absent: return 1;
  case Datum::ragged: return 3;
  case Datum::optional: return 1 + inner[0].countLeaves();
  case Datum::map:
  case Datum::maps: return 2;
  default: return 1;
  }
}

std::vector<std::string> Form::getSuffixes() const {
  switch (kind) {
  case Datum::ragged: return {".ranks", ".dims", ".data"};
  case Datum::map:
  case Datum::maps: return {".keys", ".values"};
  case Datum::optional: {
    std::vector<std::string> suffixes{".present"};
    for (const std::string &suffix : inner[0].getSuffixes())
      suffixes.push_back(suffix.empty() ? ".value" : suffix);
    return suffixes;
  }
  case Datum::absent: return {".present"};
  default: return {""};
  }
}

std::string Form::toString() const {
  switch (kind) {
  case Datum::absent: return "optional()";
  case Datum::ragged: return "sequence";
  case Datum::optional: return "optional(" + inner[0].toString() + ")";
  case Datum::map: return "map";
  case Datum::maps: return "sequence(map)";
  default: return "tensor";
  }
}

bool Form::operator==(const Form &other) const {
  return kind == other.kind && element == other.element && keys == other.keys && rank == other.rank && inner == other.inner;
}

/// The element type and common rank of a sequence's tensors.
static Form getFormOfList(const Datum &list) {
  Form form;
  form.kind = Datum::ragged;
  form.element = list.element;
  form.rank = kAnyRank;
  for (const Datum &element : *list.parts) {
    if (element.kind != Datum::tensor)
      continue;
    int64_t rank = Emitter::rankOf(element.value);
    form.element = Emitter::elementOf(element.value);
    form.rank = form.rank == kAnyRank || form.rank == rank ? rank : -1;
  }
  return form;
}

Form getForm(const Datum &datum) {
  Form form;
  form.kind = datum.kind;
  switch (datum.kind) {
  case Datum::tensor:
    form.element = Emitter::elementOf(datum.value);
    form.dims = Emitter::dimsOf(datum.value);
    form.rank = Emitter::rankOf(datum.value);
    break;
  case Datum::sequence:
    return getFormOfList(datum);
  case Datum::ragged:
    form.element = Emitter::elementOf(datum.part(2));
    form.rank = datum.rank;
    break;
  case Datum::optional:
    form.inner.push_back(getForm((*datum.parts)[1]));
    break;
  case Datum::map:
  case Datum::maps:
    form.keys = Emitter::elementOf(datum.part(0));
    form.element = Emitter::elementOf(datum.part(1));
    break;
  case Datum::absent:
  case Datum::poisoned:
    break;
  }
  return form;
}

static Form makeOptional(Form inner) {
  Form form;
  form.kind = Datum::optional;
  form.inner.push_back(std::move(inner));
  return form;
}

std::optional<Form> joinForms(const Form &a, const Form &b) {
  if (a.kind == Datum::absent || b.kind == Datum::absent) {
    const Form &other = a.kind == Datum::absent ? b : a;
    return other.kind == Datum::optional || other.kind == Datum::absent ? other : makeOptional(other);
  }
  if (a.kind == Datum::optional || b.kind == Datum::optional) {
    std::optional<Form> inner = joinForms(a.kind == Datum::optional ? a.inner[0] : a, b.kind == Datum::optional ? b.inner[0] : b);
    return inner ? std::optional<Form>(makeOptional(*inner)) : std::nullopt;
  }
  bool hasSame = a.element == b.element || (a.kind == Datum::ragged && (!a.element || !b.element));
  if (a.kind != b.kind || !hasSame || a.keys != b.keys || (a.kind == Datum::tensor && a.rank != b.rank))
    return std::nullopt;
  Form joined = a;
  joined.element = a.element ? a.element : b.element;
  if (a.rank != b.rank)
    joined.rank = a.rank == kAnyRank ? b.rank : b.rank == kAnyRank ? a.rank : -1;
  return joined;
}

Datum toRagged(Emitter &e, const Datum &sequence) {
  if (sequence.kind == Datum::ragged || e.hasFailed())
    return sequence;
  Form form = getFormOfList(sequence);
  Type element = form.element ? form.element : e.f32();
  Ints ranks;
  Exprs dims;
  Values data;
  for (const Datum &part : *sequence.parts) {
    if (part.kind != Datum::tensor || Emitter::elementOf(part.value) != element) {
      e.fail("an element of the sequence is no tensor, or of another type than the others");
      return Datum::poison();
    }
    Dims own = Emitter::dimsOf(part.value);
    ranks.push_back(static_cast<int64_t>(own.size()));
    dims.append(own.begin(), own.end());
    data.push_back(e.flatten(part.value));
  }
  Value joined = data.empty() ? e.splat(e.zero(element), {e.number(0)}) : data.size() == 1 ? data[0] : e.concat(data, 0);
  return Datum::ofParts(Datum::ragged, {Datum::of(e.ints(ranks)), Datum::of(e.indexVector(dims)), Datum::of(joined)}, element, form.rank);
}

/// Appends leaves of a form that hold nothing of meaning.
static void appendNothing(Emitter &e, const Form &form, Values &leaves) {
  Value none = e.indexVector({});
  auto appendEmpty = [&](Type element, unsigned rank) { leaves.push_back(e.splat(e.zero(element), Dims(rank, e.number(0)))); };
  switch (form.kind) {
  case Datum::ragged:
    leaves.append({none, none});
    return appendEmpty(form.element ? form.element : e.f32(), 1);
  case Datum::map:
  case Datum::maps:
    appendEmpty(form.keys, 1);
    return appendEmpty(form.element, form.kind == Datum::map ? 1 : 2);
  case Datum::optional:
    leaves.push_back(e.scalar(0, e.i1()));
    return appendNothing(e, form.inner[0], leaves);
  case Datum::absent:
    return leaves.push_back(e.scalar(0, e.i1()));
  default:
    Dims dims = form.dims;
    for (AffineExpr &dim : dims)
      dim = graph::getConstant(dim) ? dim : e.number(0);
    leaves.push_back(e.splat(e.zero(form.element), dims));
  }
}

void flattenDatum(Emitter &e, const Datum &datum, const Form &form, Values &leaves) {
  if (e.hasFailed())
    return;
  if (form.kind == Datum::absent)
    return leaves.push_back(e.scalar(0, e.i1()));
  if (form.kind == Datum::optional) {
    if (datum.kind == Datum::absent)
      return appendNothing(e, form, leaves);
    bool isOptional = datum.kind == Datum::optional;
    leaves.push_back(isOptional ? datum.part(0) : e.scalar(1, e.i1()));
    return flattenDatum(e, isOptional ? (*datum.parts)[1] : datum, form.inner[0], leaves);
  }
  if (datum.kind == Datum::tensor)
    return leaves.push_back(datum.value);
  Datum whole = datum.kind == Datum::sequence ? toRagged(e, datum) : datum;
  for (size_t k = 0; !e.hasFailed() && k < whole.parts->size(); ++k)
    leaves.push_back(whole.part(k));
}

Datum rebuildDatum(const Form &form, ArrayRef<Value> &leaves) {
  auto take = [&] {
    Value first = leaves.front();
    leaves = leaves.drop_front();
    return Datum::of(first);
  };
  if (form.kind == Datum::tensor)
    return take();
  if (form.kind == Datum::absent) {
    take();
    return {};
  }
  std::vector<Datum> parts{take()};
  if (form.kind == Datum::optional)
    parts.push_back(rebuildDatum(form.inner[0], leaves));
  else
    while (parts.size() < form.countLeaves())
      parts.push_back(take());
  return Datum::ofParts(form.kind, std::move(parts), form.element, form.rank);
}

} // namespace onager::frontend
