// MatMul, Gemm, Einsum and what is written with them.
#include "lib/Import/OnnxToGraph/Importer.h"

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {
namespace {

void importMatMul(Node &node) { node.set(0, node.e.matmul(node.in(0), node.in(1))); }

void importGemm(Node &node) {
  Emitter &e = node.e;
  Value a = node.in(0), b = node.in(1);
  if (!a || !b)
    return;
  if (Emitter::rankOf(a) != 2 || Emitter::rankOf(b) != 2) {
    e.fail("expected matrices, found ranks " + Twine(Emitter::rankOf(a)) + " and " + Twine(Emitter::rankOf(b)));
    return;
  }
  a = node.getInt("transA", 0) ? e.transposeLast(a) : a;
  b = node.getInt("transB", 0) ? e.transposeLast(b) : b;
  Value y = e.matmul(a, b);
  double alpha = node.getFloat("alpha", 1), beta = node.getFloat("beta", 1);
  y = alpha == 1 ? y : e.mulNumber(y, alpha);
  if (node.has(2) && beta != 0) {
    Value c = node.in(2);
    Value sum = e.add(y, beta == 1 ? c : e.mulNumber(c, beta));
    if (sum && Emitter::rankOf(sum) != 2)
      return void(e.fail("C has rank " + Twine(Emitter::rankOf(c)) + ", expected 2 at most"));
    // C is broadcast to the product, never the product to C.
    for (size_t k = 0; sum && k < 2; ++k)
      e.unify(Emitter::dimsOf(y)[k], Emitter::dimsOf(sum)[k], k ? "columns of the product and of its sum with C" : "rows of the product and of its sum with C");
    y = sum;
  }
  node.set(0, y);
}

/// An operand of FusedMatMul: its first dim moved behind the others of the batch, then its last two dims swapped, where attributes ask for it.
Value arrange(Node &node, Value x, StringRef moved, StringRef swapped) {
  Emitter &e = node.e;
  if (!x || Emitter::rankOf(x) < 2)
    return x;
  if (node.getInt(moved, 0)) {
    int64_t rank = Emitter::rankOf(x);
    Ints perm(llvm::to_vector(llvm::seq<int64_t>(1, rank - 1)));
    perm.push_back(0);
    perm.push_back(rank - 1);
    x = e.transpose(x, perm);
  }
  return node.getInt(swapped, 0) ? e.transposeLast(x) : x;
}

void importFusedMatMul(Node &node) {
  Emitter &e = node.e;
  Value y = e.matmul(arrange(node, node.in(0), "transBatchA", "transA"), arrange(node, node.in(1), "transBatchB", "transB"));
  double alpha = node.getFloat("alpha", 1);
  node.set(0, alpha == 1 ? y : e.mulNumber(y, alpha));
}

//===---------------------------------------------------------------------------------------------------------------===//
// Einsum. A term is a tensor whose dims carry one label each; the ellipsis becomes the labels '0', '1', ...
//===---------------------------------------------------------------------------------------------------------------===//

struct Term {
  Value value;
  std::string labels;
};

/// Moves and adds dims so that a term carries exactly these labels, with extent 1 where it has none.
Value align(Emitter &e, const Term &term, const std::string &labels) {
  Ints perm;
  Dims dims;
  for (char label : labels) {
    size_t at = term.labels.find(label);
    if (at == std::string::npos) {
      dims.push_back(e.number(1));
      continue;
    }
    perm.push_back(static_cast<int64_t>(at));
    dims.push_back(Emitter::dimsOf(term.value)[at]);
  }
  Value moved = e.transpose(term.value, perm);
  return moved ? e.reshape(moved, dims) : Value();
}

/// Sums out the labels that do not occur in `keep`.
Term sumOut(Emitter &e, Term term, const std::string &keep) {
  Ints axes;
  std::string left;
  for (auto [k, label] : llvm::enumerate(term.labels)) {
    if (keep.find(label) == std::string::npos)
      axes.push_back(static_cast<int64_t>(k));
    else
      left.push_back(label);
  }
  return {axes.empty() ? term.value : e.reduce(ReduceKind::sum, term.value, axes, false), left};
}

/// The diagonal of dims `first` and `second`, of which the first stays. Of a known extent n every (n + 1)-th element of the two as one dim; else the elements
/// off it are masked, then summed away.
Value takeDiagonal(Emitter &e, Value x, size_t first, size_t second) {
  Dims dims = Emitter::dimsOf(x), left;
  if (std::optional<int64_t> extent = getConstant(dims[first]); extent && isConstant(dims[second], *extent)) {
    Ints perm, back;
    for (size_t k = 0; k < dims.size(); ++k)
      if (k != first && k != second) {
        perm.push_back(static_cast<int64_t>(k));
        left.push_back(dims[k]);
      }
    perm.append({static_cast<int64_t>(first), static_cast<int64_t>(second)});
    left.push_back(e.number(*extent * *extent));
    Value flat = e.reshape(e.transpose(x, perm), left);
    left.back() = dims[first];
    Ints steps(left.size(), 1);
    steps.back() = *extent + 1;
    Value diagonal = e.slice(flat, Exprs(left.size(), e.number(0)), steps, left);
    for (size_t k = 0; k + 1 < left.size(); ++k)
      back.push_back(static_cast<int64_t>(k));
    back.insert(back.begin() + static_cast<std::ptrdiff_t>(first), static_cast<int64_t>(left.size()) - 1);
    return e.transpose(diagonal, back);
  }
  Dims rows(dims.size(), e.number(1)), columns(rows);
  rows[first] = dims[first];
  columns[second] = dims[second];
  e.unify(dims[first], dims[second], "dims of a repeated label");
  Value isOn = e.compare<EqualOp>(e.iota(rows, first, e.i64()), e.iota(columns, second, e.i64()));
  Value masked = e.select(isOn, x, e.scalar(0, Emitter::elementOf(x)));
  return e.reduce(ReduceKind::sum, masked, {static_cast<int64_t>(second)}, false);
}

/// A label that occurs twice selects the diagonal.
Term takeDiagonals(Emitter &e, Term term) {
  for (size_t k = 0; term.value && k < term.labels.size(); ++k) {
    size_t first = term.labels.find(term.labels[k]);
    if (first == k)
      continue;
    term.value = takeDiagonal(e, term.value, first, k);
    term.labels.erase(k, 1);
    --k;
  }
  return term;
}

std::string unite(const std::string &a, const std::string &b) {
  std::string result = a;
  for (char label : b)
    if (result.find(label) == std::string::npos)
      result.push_back(label);
  return result;
}

/// Multiplies two terms and sums out what `keep` lacks, as a batched matrix product where a label is contracted.
Term multiply(Emitter &e, Term a, Term b, const std::string &keep) {
  a = sumOut(e, a, keep + b.labels);
  b = sumOut(e, b, keep + a.labels);
  std::string batch, left, right, inner;
  for (char label : unite(a.labels, b.labels)) {
    bool inA = a.labels.find(label) != std::string::npos, inB = b.labels.find(label) != std::string::npos;
    bool isKept = keep.find(label) != std::string::npos;
    (inA && inB ? (isKept ? batch : inner) : inA ? left : right).push_back(label);
  }
  if (!a.value || !b.value)
    return {};
  if (inner.empty()) {
    std::string all = batch + left + right;
    return {e.mul(align(e, a, all), align(e, b, all)), all};
  }
  Value x = align(e, a, batch + left + inner), y = align(e, b, batch + inner + right);
  if (!x || !y)
    return {};
  Dims xDims = Emitter::dimsOf(x), yDims = Emitter::dimsOf(y);
  auto fold = [&](ArrayRef<AffineExpr> dims) { return Emitter::product(dims, e.context()); };
  ArrayRef<AffineExpr> xs(xDims), ys(yDims);
  size_t nb = batch.size(), nl = left.size(), ni = inner.size();
  Dims xShape(xs.take_front(nb)), yShape(ys.take_front(nb));
  xShape.append({fold(xs.slice(nb, nl)), fold(xs.drop_front(nb + nl))});
  yShape.append({fold(ys.slice(nb, ni)), fold(ys.drop_front(nb + ni))});
  Value product = e.matmul(e.reshape(x, xShape), e.reshape(y, yShape));
  if (!product)
    return {};
  Dims dims(ArrayRef(Emitter::dimsOf(product)).take_front(nb));
  dims.append(xs.begin() + nb, xs.begin() + nb + nl);
  dims.append(ys.begin() + nb + ni, ys.end());
  return {e.reshape(product, dims), batch + left + right};
}

/// Writes the ellipsis of one operand as digits, counted so that trailing dims of all operands meet.
bool expandEllipsis(std::string &labels, int64_t rank, int64_t &broadcastRank) {
  size_t at = labels.find("...");
  if (at == std::string::npos)
    return static_cast<int64_t>(labels.size()) == rank;
  int64_t count = rank - static_cast<int64_t>(labels.size() - 3);
  if (count < 0 || count > 8)
    return false;
  broadcastRank = std::max(broadcastRank, count);
  std::string digits;
  for (int64_t k = 0; k < count; ++k)
    digits.push_back(static_cast<char>('0' + (count - 1 - k)));
  labels.replace(at, 3, digits);
  return true;
}

bool parseEquation(Node &node, std::vector<Term> &terms, std::string &output) {
  std::string text;
  for (char c : node.getString("equation", ""))
    if (c != ' ')
      text.push_back(c);
  auto [left, right] = StringRef(text).split("->");
  bool isExplicit = StringRef(text).contains("->");
  SmallVector<StringRef> parts;
  left.split(parts, ',');
  Values values = node.ins();
  if (parts.size() != values.size() || llvm::is_contained(values, Value()))
    return false;
  int64_t broadcastRank = 0;
  for (auto [part, value] : llvm::zip(parts, values)) {
    std::string labels = part.str();
    if (!expandEllipsis(labels, Emitter::rankOf(value), broadcastRank))
      return false;
    terms.push_back({value, labels});
  }
  std::string digits;
  for (int64_t k = broadcastRank - 1; k >= 0; --k)
    digits.push_back(static_cast<char>('0' + k));
  if (isExplicit) {
    output = right.str();
    if (size_t at = output.find("..."); at != std::string::npos)
      output.replace(at, 3, digits);
    return true;
  }
  // Without an arrow: the ellipsis, then the labels that occur once, in alphabetical order.
  output = digits;
  for (char label = 'A'; label <= 'z'; ++label)
    if (llvm::isAlpha(label) && StringRef(text).count(label) == 1)
      output.push_back(label);
  return true;
}

void importEinsum(Node &node) {
  Emitter &e = node.e;
  std::vector<Term> terms;
  std::string output;
  if (!parseEquation(node, terms, output) || terms.empty()) {
    e.fail("the equation '" + node.getString("equation", "") + "' does not fit the operands");
    return;
  }
  Term result = takeDiagonals(e, terms[0]);
  for (size_t k = 1; k < terms.size() && !e.hasFailed(); ++k) {
    std::string keep = output;
    for (size_t later = k + 1; later < terms.size(); ++later)
      keep += terms[later].labels;
    result = multiply(e, result, takeDiagonals(e, terms[k]), keep);
  }
  if (!result.value)
    return;
  result = sumOut(e, result, output);
  for (char label : output)
    if (result.labels.find(label) == std::string::npos && !llvm::isDigit(label))
      e.fail("the output label '" + Twine(label) + "' is not defined");
  if (!e.hasFailed())
    node.set(0, align(e, result, output));
}

} // namespace

void addContractions(OperatorTable &table) {
  table.add("MatMul", importMatMul);
  table.add("Gemm", importGemm);
  table.add("Einsum", importEinsum);
  table.addIn("com.microsoft", "FusedMatMul", importFusedMatMul);
  table.addIn("com.microsoft", "TransposeMatMul", importFusedMatMul);
}

} // namespace onager::frontend
