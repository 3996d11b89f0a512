// Tokenizer (domain com.microsoft): texts to tokens, by the kernels "tokenize_count" and "tokenize". Expressions become automata that are part of the model.
#include "lib/Import/OnnxToGraph/Importer.h"
#include "lib/Import/OnnxToGraph/Regex.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

/// As in runtime/ops/tokenize.c.
enum Way { characters, separators, expression };

/// Appends an expression's automaton to the program; fails where it has what is not supported.
void addAutomaton(Emitter &e, const std::string &pattern, SmallVectorImpl<int32_t> &program) {
  RegexNode root;
  Automaton automaton;
  std::string error;
  if (!parseRegex(pattern, root, error) || !compileSearch(root, automaton, error))
    return void(e.fail("pattern '" + pattern + "': " + error));
  program.append({static_cast<int32_t>(automaton.accepting.size() / 3), automaton.width});
  program.append(automaton.starts.begin(), automaton.starts.end());
  program.append(automaton.classes.begin(), automaton.classes.end());
  program.append(automaton.accepting.begin(), automaton.accepting.end());
  program.append(automaton.table.begin(), automaton.table.end());
}

/// How a node splits texts, and by what.
struct Tokens {
  Way way = characters;
  std::vector<std::string> patterns;
};

Tokens readTokens(Node &node) {
  std::vector<std::string> separators = node.getStrings("separators");
  std::string token = node.getString("tokenexp", "");
  if (separators.empty() && token.empty())
    node.e.fail("separators or tokenexp is missing");
  if (separators.empty() ? token == "." : separators == std::vector<std::string>{""})
    return {};
  return separators.empty() ? Tokens{expression, {token}} : Tokens{Way::separators, separators};
}

void importTokenizer(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  Tokens tokens = readTokens(node);
  int64_t least = node.getInt("mincharnum", 1);
  bool isMarked = node.getInt("mark", 0) != 0;
  if (x && !isa<StringType>(Emitter::elementOf(x)))
    e.fail("expected strings");
  if (x && Emitter::rankOf(x) != 1 && Emitter::rankOf(x) != 2)
    e.fail("expected rank 1 or 2, found rank " + Twine(Emitter::rankOf(x)));
  if (least < 1 || (tokens.way == characters && least > 1))
    e.fail("mincharnum is " + Twine(least) + ", expected 1" + (tokens.way == characters ? " for tokens of one character" : " or more"));
  SmallVector<int32_t> program{static_cast<int32_t>(tokens.patterns.size())};
  for (const std::string &pattern : tokens.patterns)
    addAutomaton(e, pattern, program);
  if (!x || e.hasFailed())
    return;
  ArrayRef<char> bytes(reinterpret_cast<const char *>(program.data()), program.size() * sizeof(int32_t));
  Value table = e.constant(graph::makeConstant(RankedTensorType::get({static_cast<int64_t>(program.size())}, e.i32()), bytes, "automata"));
  Value flat = e.flatten(x), texts = e.strings({node.getString("pad_value", ""), "\x02", "\x03"});
  if (e.hasFailed())
    return;
  AffineExpr count = Emitter::dimsOf(flat)[0], none = e.number(0);
  Value counts = e.call("tokenize_count", {flat, table}, {tokens.way, least}, {count}, e.i64());
  Exprs most = e.contentsOrBind(e.reduce(ReduceKind::max, e.concat({counts, e.ints({0})}, 0), {0}, false));
  if (e.hasFailed())
    return;
  // Marks stand in no row where no text has a token.
  AffineExpr room = e.maxOf(most[0], none), width = isMarked ? e.selectEqual(room, none, none, normalize(room + 2)) : room;
  Dims dims = Emitter::dimsOf(x);
  dims.push_back(width);
  node.set(0, e.reshape(e.call("tokenize", {flat, table, texts}, {tokens.way, least, isMarked}, {count, width}, Emitter::elementOf(x)), dims));
}

} // namespace

void addTokenizer(OperatorTable &table) { table.addIn("com.microsoft", "Tokenizer", importTokenizer); }

} // namespace onager::frontend
