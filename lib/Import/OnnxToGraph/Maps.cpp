// Maps of the domain ai.onnx.ml: keys and values side by side (Values.h).
#include "lib/Import/OnnxToGraph/Ml.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

/// The map of an input; null after a failure.
const Datum *getMap(Node &node) {
  if (node.has(0) && node.datum(0).kind == Datum::map)
    return &node.datum(0);
  node.e.fail("input 0 is no map");
  return nullptr;
}

/// Keys that an attribute lists, as a constant; null where there are none of that type.
Value readKeys(Node &node, Type type, StringRef strings, StringRef numbers) {
  if (isa<StringType>(type)) {
    std::vector<std::string> names = node.getStrings(strings);
    return names.empty() ? node.e.fail("attribute '" + strings + "' is missing") : node.e.strings(names);
  }
  std::optional<Ints> list = node.getInts(numbers);
  return list ? node.e.ints(*list) : node.e.fail("attribute '" + numbers + "' is missing");
}

/// For each wanted key the value that the map has for it, or 0; keys of a map are distinct.
Value selectValues(Emitter &e, Value keys, Value values, Value wanted) {
  if (!wanted)
    return {};
  if (Emitter::elementOf(keys) != Emitter::elementOf(wanted))
    return e.fail("the keys of the map and those that are wanted differ in element type");
  // Behind a last key that equals nothing stands the value of what is missing.
  Type element = Emitter::elementOf(values);
  Value hits = e.compare<EqualOp>(e.unsqueeze(wanted, {1}), keys);
  Dims one{Emitter::dimsOf(wanted)[0], e.number(1)};
  Value hitsOrLast = e.cast(e.concat({hits, e.splat(e.scalar(1, e.i1()), one)}, 1), e.i32());
  Value at = e.argReduce(hitsOrLast, true, 1, false, false);
  return e.gather(e.concat({values, e.unsqueeze(e.zero(element), {0})}, 0), at, 0);
}

void importDictVectorizer(Node &node) {
  Emitter &e = node.e;
  const Datum *map = getMap(node);
  if (!map)
    return;
  Value wanted = readKeys(node, Emitter::elementOf(map->part(0)), "string_vocabulary", "int64_vocabulary");
  node.set(0, e.unsqueeze(selectValues(e, map->part(0), map->part(1), wanted), {0}));
}

/// The values of a map in order of their keys: those that it has, or one for each number below max_map.
void importCastMap(Node &node) {
  Emitter &e = node.e;
  const Datum *map = getMap(node);
  if (!map)
    return;
  std::string to = node.getString("cast_to", "TO_FLOAT"), form = node.getString("map_form", "DENSE");
  Type element = to == "TO_STRING" ? Type(StringType::get(e.context())) : to == "TO_INT64" ? e.i64() : e.f32();
  if (!Emitter::elementOf(map->part(0)).isInteger(64) || (form != "DENSE" && form != "SPARSE"))
    return void(e.fail("map_form is '" + form + "', or the keys are no integers"));
  Value values;
  if (form == "SPARSE") {
    int64_t most = node.getInt("max_map", 1);
    if (most < 1 || most > (1 << 24))
      return void(e.fail("max_map is " + Twine(most)));
    // Texts are read first: what is missing is a number, 0, and no text.
    Value given = map->part(1);
    given = isa<StringType>(Emitter::elementOf(given)) ? castOrPrint(e, given, element) : given;
    values = selectValues(e, map->part(0), given, e.iota({e.number(most)}, 0, e.i64()));
  } else {
    Type index = e.tensorType(Emitter::dimsOf(map->part(0)), e.i64());
    CallOp sorted = e.callMany("topk", {map->part(0)}, {0, 0, 1}, {index, index});
    values = sorted ? e.gather(map->part(1), sorted->getResult(1), 0) : Value();
  }
  node.set(0, e.unsqueeze(castOrPrint(e, values, element), {0}));
}

/// A sequence of maps, one for each row.
void importZipMap(Node &node) {
  Emitter &e = node.e;
  Value rows = asRows(e, node.in(0));
  if (!rows)
    return;
  bool isText = !node.getStrings("classlabels_strings").empty();
  Value keys = readKeys(node, isText ? Type(StringType::get(e.context())) : e.i64(), "classlabels_strings", "classlabels_int64s");
  if (!keys)
    return;
  e.unify(Emitter::dimsOf(rows)[1], Emitter::dimsOf(keys)[0], "the numbers of columns and labels");
  if (!e.hasFailed())
    node.setDatum(0, Datum::ofParts(Datum::maps, {Datum::of(keys), Datum::of(e.cast(rows, e.f32()))}));
}

} // namespace

void addMaps(OperatorTable &table) {
  table.addIn("ai.onnx.ml", "DictVectorizer", importDictVectorizer);
  table.addIn("ai.onnx.ml", "CastMap", importCastMap);
  table.addIn("ai.onnx.ml", "ZipMap", importZipMap);
}

} // namespace onager::frontend
