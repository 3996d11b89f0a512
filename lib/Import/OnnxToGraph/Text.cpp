// Features of texts, as strings or numbers of words: TfIdfVectorizer counts the n-grams of a pool, by the kernel `tfidf`.
#include "lib/Import/OnnxToGraph/Importer.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

/// The number of n-grams in the pool, or nothing where its parts do not fit together.
std::optional<int64_t> countGrams(const Ints &starts, int64_t size) {
  int64_t total = 0;
  for (size_t k = 0; k < starts.size(); ++k) {
    int64_t end = k + 1 < starts.size() ? starts[k + 1] : size, length = end - starts[k], n = static_cast<int64_t>(k) + 1;
    if (starts[k] < 0 || length < 0 || end > size || length % n)
      return std::nullopt;
    total += length / n;
  }
  return total;
}

void importTfIdf(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  std::vector<std::string> words = node.getStrings("pool_strings");
  std::optional<Ints> pool = node.getInts("pool_int64s"), starts = node.getInts("ngram_counts"), columns = node.getInts("ngram_indexes");
  std::string mode = node.getString("mode", "");
  if (!x)
    return;
  bool isText = isa<StringType>(Emitter::elementOf(x));
  if ((isText ? words.empty() : !pool) || !starts || !columns || starts->empty() || columns->empty())
    return void(e.fail("expected a pool of the data's element type, ngram_counts and ngram_indexes"));
  std::optional<int64_t> grams = countGrams(*starts, static_cast<int64_t>(isText ? words.size() : pool->size()));
  std::vector<double> weights = node.getFloats("weights").value_or(std::vector<double>(columns->size(), 1));
  int64_t number = mode == "TF" ? 0 : mode == "IDF" ? 1 : mode == "TFIDF" ? 2 : -1;
  int64_t shortest = node.getInt("min_gram_length", 1), longest = node.getInt("max_gram_length", 1), skips = node.getInt("max_skip_count", 0);
  int64_t last = *llvm::max_element(*columns);
  if (!grams || *grams != static_cast<int64_t>(columns->size()) || weights.size() != columns->size() || *llvm::min_element(*columns) < 0 || last >= (int64_t(1) << 31))
    return void(e.fail("the pool, ngram_counts, ngram_indexes and weights do not fit together"));
  if (number < 0 || shortest < 1 || longest < shortest || skips < 0 || skips > (1 << 20))
    return void(e.fail("mode '" + mode + "', n-grams of " + Twine(shortest) + " to " + Twine(longest) + " elements, " + Twine(skips) + " skipped at most are not supported"));
  int64_t rank = Emitter::rankOf(x);
  if (rank != 1 && rank != 2)
    return void(e.fail("expected rank 1 or 2, found rank " + Twine(rank)));
  Value rows = rank == 1 ? e.unsqueeze(x, {0}) : x;
  if (!isText)
    rows = e.cast(rows, e.i64());
  if (e.hasFailed())
    return;
  Dims out{Emitter::dimsOf(rows)[0], e.number(last + 1)};
  Value table = e.tensor(weights, {static_cast<int64_t>(weights.size())}, e.f32());
  Value y = e.call("tfidf", {rows, isText ? e.strings(words) : e.ints(*pool), e.ints(*starts), e.ints(*columns), table}, {shortest, longest, skips, number}, out, e.f32());
  node.set(0, rank == 1 ? e.reshape(y, {out[1]}) : y);
}

} // namespace

void addText(OperatorTable &table) { table.add("TfIdfVectorizer", importTfIdf); }

} // namespace onager::frontend
