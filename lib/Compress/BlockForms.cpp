// Products with weights of few bits, in groups along the sum: com.microsoft's MatMulNBits. Tables in groups along their rows: GatherBlockQuantized.
//
// B           := for each output, for each group: group * bits / 8 bytes, the first of two nibbles in the low half
// scales      := for each output, for each group: f32
// zero_points := for each output: bits / 8 bytes for each group, the last byte filled up; or f32 like the scales
#include "lib/Compress/LayerForms.h"
#include "lib/Compress/Prune/Unfold.h"
#include <cstring>

namespace onager::compress {

namespace {

/// Weights in groups, as both operators take them.
struct Blocks {
  std::string weights, packedZeros;
  std::vector<float> scales, zeros;
  std::vector<float> rounded; ///< the numbers that they stand for
};

/// Appends integers of a group, which is filled up with zero points.
void packGroup(const RoundedGroup &group, size_t size, int bits, std::string &out) {
  auto get = [&](size_t k) { return k < group.integers.size() ? group.integers[k] : uint8_t(0); };
  for (size_t k = 0; k < size; k += bits == 4 ? 2 : 1)
    out += static_cast<char>(bits == 4 ? get(k) | get(k + 1) << 4 : get(k));
}

/// Appends an output's zero points.
void packZeros(const std::vector<float> &zeros, size_t first, int bits, std::string &out) {
  for (size_t k = first; k < zeros.size(); k += bits == 4 ? 2 : 1) {
    auto low = static_cast<uint8_t>(zeros[k]), high = static_cast<uint8_t>(bits == 4 && k + 1 < zeros.size() ? zeros[k + 1] : 0);
    out += static_cast<char>(bits == 4 ? low | high << 4 : low);
  }
}

} // namespace

onnx::NodeProto makeBias(const Layer &layer, const std::string &product) {
  onnx::NodeProto add;
  add.set_op_type("Add");
  add.set_name(layer.name + "_bias");
  add.add_input(product);
  add.add_input(layer.bias);
  add.add_output(layer.node->output(0));
  return add;
}

/// Rounds rows of so many terms. Where a row's last group is short, the operator's weights are filled up (`isPadded`) or end there.
static Blocks makeBlocks(const std::vector<float> &rows, size_t terms, const LayerRecipe &entry, bool isPadded) {
  const int bits = entry.scheme == Scheme::int4 ? 4 : 8;
  size_t size = static_cast<size_t>(entry.group), groups = (terms + size - 1) / size;
  Blocks blocks;
  blocks.rounded.resize(rows.size());
  for (size_t n = 0; n < rows.size() / terms; ++n) {
    size_t first = blocks.zeros.size();
    for (size_t g = 0; g < groups; ++g) {
      size_t begin = n * terms + g * size, count = std::min(size, terms - g * size);
      RoundedGroup group = entry.groups.empty() ? roundGroup(rows.data() + begin, count, bits, entry.rounding) : entry.groups[n * groups + g];
      packGroup(group, isPadded ? size : count, bits, blocks.weights);
      blocks.scales.push_back(group.scale);
      blocks.zeros.push_back(group.zero);
      for (size_t k = 0; k < count; ++k)
        blocks.rounded[begin + k] = group.scale * (static_cast<float>(group.integers[k]) - group.zero);
    }
    packZeros(blocks.zeros, first, bits, blocks.packedZeros);
  }
  return blocks;
}

static onnx::NodeProto makeNode(ModelGraph &model, const char *op, const Layer &layer, std::initializer_list<std::string> inputs,
                                std::initializer_list<std::pair<const char *, int64_t>> attributes) {
  model.useDomain("com.microsoft", 1);
  onnx::NodeProto node;
  node.set_op_type(op);
  node.set_domain("com.microsoft");
  node.set_name(layer.name);
  for (const std::string &input : inputs)
    node.add_input(input);
  node.add_output(layer.node->output(0));
  for (auto [name, value] : attributes)
    setInt(node, name, value);
  return node;
}

/// The size next to `wanted`, by ratio, that a row falls into without a rest.
static size_t findPart(size_t terms, size_t wanted) {
  auto getRatio = [&](size_t size) { return static_cast<double>(std::max(size, wanted)) / static_cast<double>(std::min(size, wanted)); };
  size_t best = terms;
  for (size_t size = terms; size >= 1; --size)
    if (terms % size == 0 && getRatio(size) <= getRatio(best))
      best = size;
  return best;
}

IntegerForm getForm(const LayerRecipe &entry, size_t terms) {
  bool isFilters = isConvolution(entry.op);
  if (hasByteInputs(entry.scheme) || (isFilters && entry.scheme == Scheme::int8Weights))
    return {terms, 8, true};
  auto group = static_cast<size_t>(entry.group);
  return {isFilters ? findPart(terms, group) : group, entry.scheme == Scheme::int4 ? 4 : 8};
}

void roundRow(const LayerRecipe &entry, float *row, size_t terms) {
  IntegerForm form = getForm(entry, terms);
  if (form.isSymmetric) {
    std::vector<int8_t> integers(terms);
    float scale = roundChannel(row, terms, 1, entry.rounding, integers.data());
    for (size_t k = 0; k < terms; ++k)
      row[k] = scale * static_cast<float>(integers[k]);
    return;
  }
  for (size_t begin = 0; begin < terms; begin += form.size) {
    size_t count = std::min(form.size, terms - begin);
    RoundedGroup group = hasCodebook(entry.scheme) ? roundToCodebook(row + begin, count, getCodebook(entry.scheme), entry.rounding) : roundGroup(row + begin, count, form.bits, entry.rounding);
    for (size_t k = 0; k < count; ++k)
      row[begin + k] = hasCodebook(entry.scheme) ? group.scale * getCodebook(entry.scheme)[group.integers[k]] : group.scale * (static_cast<float>(group.integers[k]) - group.zero);
  }
}

std::vector<onnx::NodeProto> makeBlockNodes(ModelGraph &model, const Layer &layer, LayerRecipe &entry) {
  if (hasCodebook(entry.scheme))
    return makeCodebookNodes(model, layer, entry);
  const int64_t bits = entry.scheme == Scheme::int4 ? 4 : 8;
  auto [outputs, terms, rows] = readMatrix(model, layer);
  Blocks blocks = makeBlocks(rows, terms, entry, !layer.isTable());
  bool hasFloatZeros = entry.rounding == RoundingMethod::hqq;
  auto count = static_cast<int64_t>(outputs), groups = static_cast<int64_t>(blocks.scales.size() / outputs);
  entry.weightSqnr = measureSqnr(rows, blocks.rounded);
  entry.bytesAfter = blocks.weights.size() + blocks.scales.size() * sizeof(float) + (hasFloatZeros ? blocks.zeros.size() * sizeof(float) : blocks.packedZeros.size());
  std::vector<int64_t> dims = layer.isTable() ? std::vector<int64_t>{count, static_cast<int64_t>(terms) * bits / 8} : std::vector<int64_t>{count, groups, entry.group * bits / 8};
  std::string weights = model.addConstant(layer.weights + "_blocks", dims, onnx::TensorProto::UINT8, blocks.weights);
  std::string scales = model.addConstant(layer.weights + "_scales", {count, groups}, onnx::TensorProto::FLOAT, toBytes(blocks.scales));
  std::string zeros = hasFloatZeros ? model.addConstant(layer.weights + "_zeros", {count, groups}, onnx::TensorProto::FLOAT, toBytes(blocks.zeros))
                                    : model.addConstant(layer.weights + "_zeros", {count, static_cast<int64_t>(blocks.packedZeros.size()) / count}, onnx::TensorProto::UINT8, blocks.packedZeros);
  if (layer.isTable())
    return {makeNode(model, "GatherBlockQuantized", layer, {weights, layer.input, scales, zeros}, {{"bits", bits}, {"block_size", entry.group}, {"gather_axis", 0}, {"quantize_axis", 1}})};
  onnx::NodeProto node = makeNode(model, "MatMulNBits", layer, {layer.input, weights, scales, zeros},
                                  {{"K", static_cast<int64_t>(terms)}, {"N", count}, {"bits", bits}, {"block_size", entry.group}});
  if (layer.bias.empty())
    return {node};
  node.set_output(0, model.makeName(layer.name + "_product"));
  return {node, makeBias(layer, node.output(0))};
}

} // namespace onager::compress
