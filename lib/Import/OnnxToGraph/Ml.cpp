// Classical machine learning (domain ai.onnx.ml) without its tree ensembles: preparation of features and linear models.
#include "lib/Import/OnnxToGraph/Ml.h"
#include <cmath>

using namespace mlir;
using namespace onager::graph;

namespace onager::frontend {

Value asRows(Emitter &e, Value x) {
  if (!x)
    return {};
  if (Emitter::rankOf(x) == 1)
    return e.unsqueeze(x, {0});
  return Emitter::rankOf(x) == 2 ? x : e.fail("expected rows of features, found rank " + Twine(Emitter::rankOf(x)));
}

Value makeVector(Emitter &e, ArrayRef<double> values, Type element) {
  auto type = RankedTensorType::get({static_cast<int64_t>(values.size())}, element);
  if (values.size() <= 64)
    return e.tensor(values, type.getShape(), element);
  SmallVector<char> bytes;
  for (double value : values) {
    auto narrow = static_cast<float>(value);
    const char *from = element.isF64() ? reinterpret_cast<const char *>(&value) : reinterpret_cast<const char *>(&narrow);
    bytes.append(from, from + (element.isF64() ? sizeof value : sizeof narrow));
  }
  return e.constant(graph::makeConstant(type, bytes, "ml"));
}

std::vector<double> readTensor(Node &node, StringRef name) {
  const onnx::TensorProto *proto = node.getTensor(name);
  Value value = proto ? node.importer.importTensor(*proto) : Value();
  if (value && isa<StringType>(Emitter::elementOf(value)))
    value = node.e.fail("attribute '" + name + "' holds strings");
  if (!value)
    return {};
  SmallVector<char> storage;
  ArrayRef<char> bytes = graph::getConstantBytes(graph::getConstantValue(value), storage);
  std::vector<double> numbers;
  for (int64_t k = 0, count = cast<RankedTensorType>(value.getType()).getNumElements(); k < count; ++k)
    numbers.push_back(graph::readNumber(Emitter::elementOf(value), bytes, k));
  return numbers;
}

Value readLabels(Node &node, int64_t &count) {
  if (std::vector<std::string> names = node.getStrings("classlabels_strings"); !names.empty()) {
    count = static_cast<int64_t>(names.size());
    return node.e.strings(names);
  }
  Ints labels = node.getInts(node.hasAttribute("classlabels_int64s") ? "classlabels_int64s" : "classlabels_ints").value_or(Ints());
  count = static_cast<int64_t>(labels.size());
  return labels.empty() ? node.e.fail("class labels are missing") : node.e.ints(labels);
}

Value pickLabels(Emitter &e, Value scores, Value labels) {
  return scores && labels ? e.gather(labels, e.argReduce(scores, /*isMax=*/true, 1, /*keepDims=*/false, /*last=*/false), 0) : Value();
}

/// sqrt(2) * erfinv(2 x - 1) by the closed formula that ONNX Runtime uses.
static Value probit(Emitter &e, Value scores) {
  Value x = e.addNumber(e.mulNumber(scores, 2), -1);
  if (!x)
    return {};
  Value log = e.unary<LogOp>(e.mul(e.sub(e.scalar(1, Emitter::elementOf(x)), x), e.addNumber(x, 1)));
  Value half = e.addNumber(e.mulNumber(log, 0.5), 2 / (3.14159 * 0.147));
  Value root = e.unary<SqrtOp>(e.sub(e.unary<SqrtOp>(e.sub(e.mul(half, half), e.divNumber(log, 0.147))), half));
  return e.mulNumber(e.mul(e.unary<SignOp>(x), root), M_SQRT2);
}

/// Softmax over the scores that are not 0; the others are scaled by e^-max.
static Value softmaxOfNonzero(Emitter &e, Value scores) {
  if (!scores)
    return {};
  Value tiny = e.compare<LessEqualOp>(e.unary<AbsOp>(scores), e.scalar(1e-7, Emitter::elementOf(scores)));
  Value top = e.reduce(ReduceKind::max, scores, {1});
  Value powers = e.select(tiny, e.mul(scores, e.unary<ExpOp>(e.unary<NegOp>(top))), e.unary<ExpOp>(e.sub(scores, top)));
  return e.div(powers, e.reduce(ReduceKind::sum, powers, {1}));
}

Value transformScores(Emitter &e, Value scores, StringRef name) {
  if (name == "NONE" || !scores)
    return scores;
  if (name == "SOFTMAX")
    return e.softmax(scores, 1);
  if (name == "LOGISTIC")
    return e.unary<SigmoidOp>(scores);
  if (name == "SOFTMAX_ZERO")
    return softmaxOfNonzero(e, scores);
  return name == "PROBIT" ? probit(e, scores) : e.fail("post_transform is '" + name + "'");
}

namespace {

/// (x - offset) * scale, per feature or for all.
void importScaler(Node &node) {
  Emitter &e = node.e;
  Value x = e.cast(node.in(0), e.f32());
  std::vector<double> offset = node.getFloats("offset").value_or(std::vector<double>{0}), scale = node.getFloats("scale").value_or(std::vector<double>{1});
  node.set(0, e.mul(e.sub(x, makeVector(e, offset, e.f32())), makeVector(e, scale, e.f32())));
}

/// Replaces a marked value (NaN among floats by default) by what is imputed for its feature.
void importImputer(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (!x)
    return;
  Type type = Emitter::elementOf(x);
  if (isa<IntegerType>(type)) {
    std::optional<Ints> imputed = node.getInts("imputed_value_int64s");
    if (!imputed)
      return void(e.fail("integers need imputed_value_int64s"));
    Value marked = e.compare<EqualOp>(x, e.integerScalar(node.getInt("replaced_value_int64", 0), type));
    return node.set(0, e.select(marked, e.cast(e.ints(*imputed), type), x));
  }
  std::optional<std::vector<double>> imputed = node.getFloats("imputed_value_floats");
  if (!imputed)
    return void(e.fail("floats need imputed_value_floats"));
  double mark = node.getFloat("replaced_value_float", 0);
  Value marked = std::isnan(mark) ? e.unary<IsNaNOp>(x, e.i1()) : e.compare<EqualOp>(x, e.scalar(mark, type));
  node.set(0, e.select(marked, makeVector(e, *imputed, type), x));
}

/// Divides each row by its norm; a row of norm 0 stays.
void importNormalizer(Node &node) {
  Emitter &e = node.e;
  Value x = e.cast(node.in(0), e.f32());
  std::string name = node.getString("norm", "MAX");
  if (!x)
    return;
  int64_t axis = Emitter::rankOf(x) - 1;
  Value norm;
  if (name == "MAX")
    norm = e.reduce(ReduceKind::max, x, {axis});
  else if (name == "L1")
    norm = e.reduce(ReduceKind::sum_abs, x, {axis});
  else if (name == "L2")
    norm = e.unary<SqrtOp>(e.reduce(ReduceKind::sum_square, x, {axis}));
  else
    e.fail("norm is '" + name + "', expected MAX, L1 or L2");
  if (!norm)
    return;
  node.set(0, e.select(e.compare<EqualOp>(norm, e.scalar(0, e.f32())), x, e.div(x, norm)));
}

void importBinarizer(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (x)
    node.set(0, e.cast(e.compare<LessOp>(e.scalar(node.getFloat("threshold", 0), Emitter::elementOf(x)), x), Emitter::elementOf(x)));
}

void importFeatureVectorizer(Node &node) {
  Emitter &e = node.e;
  Values parts;
  Ints widths = node.getInts("inputdimensions").value_or(Ints());
  for (unsigned k = 0; k < node.numInputs(); ++k) {
    parts.push_back(asRows(e, e.cast(node.in(k), e.f32())));
    if (parts.back() && k < widths.size())
      e.unify(Emitter::dimsOf(parts.back())[1], e.number(widths[k]), "inputdimensions");
  }
  node.set(0, e.concat(parts, 1));
}

/// Columns of the last dim; a vector of data becomes one row.
void importArrayFeatureExtractor(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0), columns = e.flatten(node.in(1));
  if (!x || !columns)
    return;
  x = Emitter::rankOf(x) == 1 ? e.unsqueeze(x, {0}) : x;
  node.set(0, x ? e.gather(x, columns, Emitter::rankOf(x) - 1) : Value());
}

void importOneHotEncoder(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (!x)
    return;
  bool isText = isa<StringType>(Emitter::elementOf(x));
  Ints numbers = node.getInts("cats_int64s").value_or(Ints());
  std::vector<std::string> names = node.getStrings("cats_strings");
  if (isText ? names.empty() : numbers.empty())
    return void(e.fail("categories of the data's element type are missing"));
  int64_t axis = Emitter::rankOf(x);
  Value hits = e.compare<EqualOp>(e.unsqueeze(isText ? x : e.cast(x, e.i64()), {axis}), isText ? e.strings(names) : e.ints(numbers));
  if (!node.getInt("zeros", 1)) {
    Value known = e.reduce(ReduceKind::min, e.flatten(e.reduce(ReduceKind::max, hits, {axis})), {0}, false);
    Exprs all = e.contentsOrBind(e.cast(known, e.i64()));
    if (!e.hasFailed())
      e.require(all[0], e.number(1), "an element that is no category");
  }
  node.set(0, e.cast(hits, e.f32()));
}

/// Keys or values of a label encoder as a constant; null where they are absent.
Value readMapping(Node &node, StringRef what, Type &type) {
  Emitter &e = node.e;
  if (const onnx::TensorProto *tensor = node.getTensor((what + "_tensor").str())) {
    Value value = node.importer.importTensor(*tensor);
    type = value ? Emitter::elementOf(value) : Type();
    return value;
  }
  if (std::optional<Ints> list = node.getInts((what + "_int64s").str())) {
    type = e.i64();
    return e.ints(*list);
  }
  if (std::vector<std::string> list = node.getStrings((what + "_strings").str()); !list.empty()) {
    type = StringType::get(e.context());
    return e.strings(list);
  }
  std::optional<std::vector<double>> list = node.getFloats((what + "_floats").str());
  type = e.f32();
  return list ? makeVector(e, *list, type) : e.fail(what + " are missing");
}

Value readDefault(Node &node, Type type) {
  if (const onnx::TensorProto *tensor = node.getTensor("default_tensor"))
    return castOrPrint(node.e, node.e.reshape(node.importer.importTensor(*tensor), {}), type);
  if (isa<StringType>(type))
    return node.e.reshape(node.e.strings({node.getString("default_string", "_Unused")}), {});
  return isa<FloatType>(type) ? node.e.scalar(node.getFloat("default_float", -0.0), type) : node.e.integerScalar(node.getInt("default_int64", -1), type);
}

/// values[k] where keys[k] equals the element (NaN equals NaN), else `otherwise`.
Value lookUp(Emitter &e, Value x, Value keys, Value values, Value otherwise) {
  if (!x || !keys || !values || !otherwise)
    return {};
  e.unify(Emitter::product(Emitter::dimsOf(keys), e.context()), Emitter::product(Emitter::dimsOf(values), e.context()), "the numbers of keys and values");
  Value at = e.call("find", {x, keys}, {}, Emitter::dimsOf(x), e.i64()), zero = e.integerScalar(0, e.i64());
  return at ? e.select(e.compare<LessEqualOp>(zero, at), e.gather(values, e.maximum(at, zero), 0), otherwise) : Value();
}

/// Texts to numbers, or numbers to texts, by a list of each.
void lookUpNames(Node &node, const std::vector<std::string> &names, ArrayRef<int64_t> numbers) {
  Emitter &e = node.e;
  Value x = node.in(0);
  if (!x)
    return;
  if (names.empty() || names.size() != numbers.size())
    return void(e.fail(Twine(names.size()) + " names for " + Twine(numbers.size()) + " numbers"));
  Value otherNumber = e.integerScalar(node.getInt("default_int64", -1), e.i64());
  Value otherName = e.reshape(e.strings({node.getString("default_string", "_Unused")}), {});
  bool isText = isa<StringType>(Emitter::elementOf(x));
  node.set(0, isText ? lookUp(e, x, e.strings(names), e.ints(numbers), otherNumber) : lookUp(e, e.cast(x, e.i64()), e.ints(numbers), e.strings(names), otherName));
}

/// The first LabelEncoder: a text stands for its position.
void importOldLabelEncoder(Node &node) {
  std::vector<std::string> names = node.getStrings("classes_strings");
  lookUpNames(node, names, Ints(llvm::to_vector(llvm::seq<int64_t>(0, static_cast<int64_t>(names.size())))));
}

void importCategoryMapper(Node &node) { lookUpNames(node, node.getStrings("cats_strings"), node.getInts("cats_int64s").value_or(Ints())); }

void importLabelEncoder(Node &node) {
  Emitter &e = node.e;
  Value x = node.in(0);
  Type keyType, valueType;
  Value keys = readMapping(node, "keys", keyType), values = e.hasFailed() ? Value() : readMapping(node, "values", valueType);
  if (!x || !keys || !values)
    return;
  if (Emitter::elementOf(x) != keyType)
    return void(e.fail("keys and data differ in element type"));
  node.set(0, lookUp(e, x, e.flatten(keys), e.flatten(values), readDefault(node, valueType)));
}

/// x times the coefficients [rows, F], plus intercepts.
Value applyLinear(Node &node, int64_t rows) {
  Emitter &e = node.e;
  Value x = asRows(e, e.cast(node.in(0), e.f32()));
  std::vector<double> coefficients = node.getFloats("coefficients").value_or(std::vector<double>()), intercepts = node.getFloats("intercepts").value_or(std::vector<double>());
  if (!x)
    return {};
  if (rows < 1 || coefficients.empty() || coefficients.size() % rows || (!intercepts.empty() && static_cast<int64_t>(intercepts.size()) != rows))
    return e.fail(Twine(coefficients.size()) + " coefficients and " + Twine(intercepts.size()) + " intercepts for " + Twine(rows) + " targets");
  auto features = static_cast<int64_t>(coefficients.size()) / rows;
  Value y = e.matmul(x, e.transpose(e.reshape(makeVector(e, coefficients, e.f32()), e.numbers({rows, features})), {1, 0}));
  return intercepts.empty() ? y : e.add(y, makeVector(e, intercepts, e.f32()));
}

void importLinearRegressor(Node &node) {
  node.set(0, transformScores(node.e, applyLinear(node, node.getInt("targets", 1)), node.getString("post_transform", "NONE")));
}

void importLinearClassifier(Node &node) {
  Emitter &e = node.e;
  int64_t classes = 0;
  Value labels = readLabels(node, classes);
  auto rows = static_cast<int64_t>(node.getFloats("intercepts").value_or(std::vector<double>()).size());
  Value scores = applyLinear(node, rows ? rows : classes);
  std::string transform = node.getString("post_transform", "NONE");
  if (!labels || !scores)
    return;
  if (rows == 1 && classes == 2) {
    // One score for two classes: its sign decides.
    Value isSecond = e.compare<LessOp>(e.scalar(transform == "LOGISTIC" ? 0.0 : 0.5, e.f32()), scores);
    node.set(0, e.gather(labels, e.cast(e.squeeze(isSecond, {1}), e.i64()), 0));
    if (transform != "LOGISTIC" && transform != "NONE")
      return void(e.fail("post_transform " + transform + " of one score for two classes"));
    Value other = transform == "LOGISTIC" ? e.unary<NegOp>(scores) : e.sub(e.scalar(1, e.f32()), scores);
    Value both = e.concat({other, scores}, 1);
    return node.set(1, transform == "LOGISTIC" ? e.unary<SigmoidOp>(both) : both);
  }
  node.set(0, pickLabels(e, scores, labels));
  node.set(1, transformScores(e, scores, transform));
}

} // namespace

void addMl(OperatorTable &table) {
  table.addIn("ai.onnx.ml", "Scaler", importScaler);
  table.addIn("ai.onnx.ml", "Imputer", importImputer);
  table.addIn("ai.onnx.ml", "Normalizer", importNormalizer);
  table.addIn("ai.onnx.ml", "Binarizer", importBinarizer);
  table.addIn("ai.onnx.ml", "FeatureVectorizer", importFeatureVectorizer);
  table.addIn("ai.onnx.ml", "ArrayFeatureExtractor", importArrayFeatureExtractor);
  table.addIn("ai.onnx.ml", "OneHotEncoder", importOneHotEncoder);
  table.addIn("ai.onnx.ml", "LabelEncoder", importOldLabelEncoder);
  table.addIn("ai.onnx.ml", "LabelEncoder", importLabelEncoder, 2);
  table.addIn("ai.onnx.ml", "CategoryMapper", importCategoryMapper);
  table.addIn("ai.onnx.ml", "LinearRegressor", importLinearRegressor);
  table.addIn("ai.onnx.ml", "LinearClassifier", importLinearClassifier);
}

} // namespace onager::frontend
