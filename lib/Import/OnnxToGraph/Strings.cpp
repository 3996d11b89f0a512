// Operators on strings. Equality, lookup and movement of strings are those of other elements; what looks inside a text is a call of a kernel.
#include "lib/Import/OnnxToGraph/Importer.h"
#include "lib/Import/OnnxToGraph/Regex.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

bool checkStrings(Node &node, Value x) {
  if (x && !isa<StringType>(Emitter::elementOf(x)))
    node.e.fail("expected strings");
  return x && !node.e.hasFailed();
}

void importConcatStrings(Node &node) {
  Emitter &e = node.e;
  Value a = node.in(0), b = node.in(1);
  if (!checkStrings(node, a) || !checkStrings(node, b))
    return;
  Dims dims = e.broadcastDims(Emitter::dimsOf(a), Emitter::dimsOf(b));
  node.set(0, e.call("string_concat", {e.broadcast(a, dims), e.broadcast(b, dims)}, {}, dims, Emitter::elementOf(a)));
}

void importSplit(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (!checkStrings(node, x))
    return;
  Dims dims = Emitter::dimsOf(x);
  Value flat = e.flatten(x), delimiter = e.strings({node.getString("delimiter", "")});
  int64_t most = node.hasAttribute("maxsplit") ? node.getInt("maxsplit", -1) : -1;
  if (e.hasFailed())
    return;
  AffineExpr count = Emitter::dimsOf(flat)[0];
  Value counts = e.call("string_split_count", {flat, delimiter}, {most}, {count}, e.i64());
  // The greatest count, 0 where there is no text.
  Value room = e.reduce(ReduceKind::max, e.concat({counts, e.ints({0})}, 0), {0}, false);
  Exprs bound = e.contentsOrBind(room);
  if (e.hasFailed())
    return;
  AffineExpr width = e.maxOf(bound[0], e.number(0));
  Value parts = e.call("string_split", {flat, delimiter}, {most}, {count, width}, Emitter::elementOf(x));
  Dims wide = dims;
  wide.push_back(width);
  node.set(0, e.reshape(parts, wide));
  node.set(1, e.reshape(counts, dims));
}

Value changeCase(Emitter &e, Value x, bool isUpper) { return x ? e.call("string_case", {x}, {isUpper}, Emitter::dimsOf(x), Emitter::elementOf(x)) : x; }

/// Drops stop words and changes case; what has no word left is one empty text.
void importNormalizer(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (!checkStrings(node, x))
    return;
  int64_t rank = Emitter::rankOf(x);
  if (rank == 2)
    e.unify(Emitter::dimsOf(x)[0], e.number(1), "the number of rows");
  if (rank != 1 && rank != 2)
    e.fail("expected rank 1 or 2, found rank " + Twine(rank));
  std::vector<std::string> stops = node.getStrings("stopwords");
  std::string change = node.getString("case_change_action", "NONE");
  if (change != "NONE" && change != "LOWER" && change != "UPPER")
    e.fail("case_change_action is '" + change + "', expected LOWER, UPPER or NONE");
  Value words = e.flatten(x);
  if (e.hasFailed())
    return;
  if (!stops.empty()) {
    bool isSensitive = node.getInt("is_case_sensitive", 0) != 0;
    Value stopped = e.strings(stops), compared = isSensitive ? words : changeCase(e, words, false);
    Value hits = e.compare<EqualOp>(e.unsqueeze(compared, {1}), isSensitive ? stopped : changeCase(e, stopped, false));
    Value keeps = e.unary<NotOp>(e.reduce(ReduceKind::max, hits, {1}, false));
    AffineExpr count = e.symbols.fresh();
    CallOp kept = e.callMany("nonzero", {keeps}, {}, {e.tensorType({e.number(1), count}, e.i64())}, {count}, {Emitter::dimsOf(words)[0]});
    words = kept ? e.gather(words, e.reshape(kept->getResult(0), {count}), 0) : Value();
  }
  if (change != "NONE")
    words = changeCase(e, words, change == "UPPER");
  if (!words)
    return;
  AffineExpr count = Emitter::dimsOf(words)[0], width = e.maxOf(count, e.number(1));
  words = e.pad(words, {e.number(0)}, {normalize(width - count)}, e.zero(Emitter::elementOf(words)));
  node.set(0, rank == 2 ? e.unsqueeze(words, {0}) : words);
}

Value makeTable(Emitter &e, ArrayRef<int32_t> numbers, ArrayRef<int64_t> shape) {
  ArrayRef<char> bytes(reinterpret_cast<const char *>(numbers.data()), numbers.size() * sizeof(int32_t));
  return e.constant(graph::makeConstant(RankedTensorType::get(shape, e.i32()), bytes, "automaton"));
}

void importFullMatch(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (!checkStrings(node, x))
    return;
  RegexNode root;
  Automaton automaton;
  std::string pattern = node.getString("pattern", ""), error;
  if (!parseRegex(pattern, root, error) || !compileRegex(root, automaton, error))
    return void(e.fail("pattern '" + pattern + "': " + error));
  auto states = static_cast<int64_t>(automaton.accepting.size());
  Value table = makeTable(e, automaton.table, {states, automaton.width}), classes = makeTable(e, automaton.classes, {256});
  node.set(0, e.call("automaton", {x, table, classes, makeTable(e, automaton.accepting, {states})}, {}, Emitter::dimsOf(x), e.i1()));
}

/// The type of eight bytes that a text is read as before it is cast.
Type getParsedType(Emitter &e, Type element) {
  if (isa<FloatType>(element) || element.isInteger(1))
    return e.builder.getF64Type();
  return element.isUnsignedInteger(64) ? element : e.i64();
}

/// The type that numbers are widened to before they are written.
Type getPrintedType(Emitter &e, Type element) {
  if (element.isF64() || element.isInteger(1) || element.isUnsignedInteger(64))
    return element;
  return isa<FloatType>(element) ? e.f32() : e.i64();
}

} // namespace

Value castOrPrint(Emitter &e, Value x, Type element, bool saturate) {
  bool isText = x && isa<StringType>(Emitter::elementOf(x)), becomesText = isa<StringType>(element);
  if (!x || isText == becomesText)
    return e.cast(x, element, saturate);
  if (becomesText)
    return e.call("string_print", {e.cast(x, getPrintedType(e, Emitter::elementOf(x)))}, {}, Emitter::dimsOf(x), element);
  return e.cast(e.call("string_parse", {x}, {}, Emitter::dimsOf(x), getParsedType(e, element)), element, saturate);
}

void addStrings(OperatorTable &table) {
  table.add("StringConcat", importConcatStrings);
  table.add("StringSplit", importSplit);
  table.add("StringNormalizer", importNormalizer);
  table.add("RegexFullMatch", importFullMatch);
}

} // namespace onager::frontend
