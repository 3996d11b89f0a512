// The shadow check of new variants.
#include "runtime/recompile/check.h"
#include "runtime/core/frame.h"
#include <algorithm>
#include <cmath>
#include <cstring>

namespace onager::rt {

/// Differences beyond this share of an output's largest magnitude are no matter of rounding: of f32 and f64, and of floats of 16 bits.
static constexpr double kTolerance = 1e-3, kHalfTolerance = 1e-2;
/// Symbols that the guard does not fix have this value, where it lies in their range.
static constexpr int64_t kUsualExtent = 4;

namespace {

/// Inputs of one shape, drawn from a seed.
class DrawnInputs {
public:
  DrawnInputs(const Manifest &manifest, const Guard &guard) : symbols(manifest.symbols.size() + 1, kUsualExtent) {
    for (const Atom &atom : guard) {
      if (atom.kind == Atom::Equal)
        symbols[atom.symbol] = atom.a;
      if (atom.kind == Atom::Range)
        symbols[atom.symbol] = std::max(atom.a, std::min(symbols[atom.symbol], atom.b));
      if (atom.kind == Atom::Divisible)
        symbols[atom.symbol] = (symbols[atom.symbol] + atom.a - 1) / atom.a * atom.a;
    }
    for (const Atom &atom : guard)
      if (atom.kind == Atom::Same)
        symbols[atom.symbol] = symbols[static_cast<size_t>(atom.a)] + atom.b;
    for (const TensorInfo &info : manifest.inputs)
      add(info);
    for (const ValueInfo &value : manifest.values)
      if (std::any_of(guard.begin(), guard.end(), [&](const Atom &atom) { return atom.symbol == value.symbol; }))
        set(value);
  }
  std::vector<onager_tensor> tensors;
  bool isPossible = true;

private:
  void add(const TensorInfo &info) {
    dims.emplace_back(new std::vector<int64_t>);
    for (const Expr &dim : info.dims) {
      bool bad = false;
      dims.back()->push_back(dim.evaluate(symbols.data(), bad));
      isPossible &= !bad;
    }
    uint64_t bytes = 0;
    isPossible &= info.dtype != ONAGER_STRING && countBytes(info.dtype, *dims.back(), bytes);
    contents.emplace_back(new std::vector<char>(isPossible ? bytes + ONAGER_ALIGNMENT : ONAGER_ALIGNMENT));
    fill(info.dtype, contents.back()->data(), isPossible ? bytes : 0);
    tensors.push_back({sizeof(onager_tensor), static_cast<int32_t>(info.dtype), static_cast<int32_t>(info.dims.size()), 0, contents.back()->data(), dims.back()->data(), bytes});
  }
  /// Gives an element the value that the guard wants.
  void set(const ValueInfo &value) {
    uint64_t width = onager_dtype_bytes(tensors[value.input].dtype);
    if (isPossible)
      std::memcpy(contents[value.input]->data() + value.element * width, &symbols[value.symbol], width);
  }
  double draw() {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return static_cast<double>(state >> 11) * 0x1p-52 - 1;
  }
  void fill(uint64_t dtype, char *data, uint64_t bytes) {
    uint64_t width = std::max<uint64_t>(onager_dtype_bytes(static_cast<int32_t>(dtype)), 1);
    for (uint64_t at = 0; at + width <= bytes; at += width) {
      double value = draw();
      if (dtype == ONAGER_F32) {
        auto number = static_cast<float>(value);
        std::memcpy(data + at, &number, sizeof number);
      } else if (dtype == ONAGER_F64) {
        std::memcpy(data + at, &value, sizeof value);
      } else if (dtype == ONAGER_F16 || dtype == ONAGER_BF16) {
        // 1 or 0: the bits of 1.0 in either type.
        uint16_t bits = value > 0 ? (dtype == ONAGER_F16 ? 0x3c00 : 0x3f80) : 0;
        std::memcpy(data + at, &bits, sizeof bits);
      } else {
        data[at] = value > 0;
      }
    }
  }
  std::vector<int64_t> symbols;
  std::vector<std::unique_ptr<std::vector<int64_t>>> dims;
  std::vector<std::unique_ptr<std::vector<char>>> contents;
  uint64_t state = 1;
};

/// One form's run and what came of it.
struct Trial {
  Trial(Session &session, const Code &code, const Manifest &generic) : work(session, generic.inputs.size(), generic.outputs.size()), frame(session, code, work) {
    outputs.resize(generic.outputs.size(), {sizeof(onager_tensor), 0, 0, 0, nullptr, nullptr, 0});
  }
  Workspace work;
  Frame frame;
  std::vector<onager_tensor> outputs;
  Outcome outcome;
};

template <typename T> T readAt(const void *data, uint64_t index) {
  T value;
  std::memcpy(&value, static_cast<const char *>(data) + index * sizeof value, sizeof value);
  return value;
}

/// The number that a float of 16 bits stands for, given the bits of its mantissa.
double readHalf(uint16_t bits, int mantissa) {
  int exponent = (bits & 0x7fff) >> mantissa, most = 0x7fff >> mantissa, bias = most >> 1, fraction = bits & ((1 << mantissa) - 1);
  double size = exponent == most ? (fraction ? NAN : HUGE_VAL) : std::ldexp(fraction + (exponent ? 1 << mantissa : 0), std::max(exponent, 1) - bias - mantissa);
  return bits & 0x8000 ? -size : size;
}

/// Reads an element whose last bit is a matter of rounding as a number.
double readNumber(const onager_tensor &tensor, uint64_t index) {
  switch (tensor.dtype) {
  case ONAGER_F64:
    return readAt<double>(tensor.data, index);
  case ONAGER_F32:
    return static_cast<double>(readAt<float>(tensor.data, index));
  case ONAGER_F16:
    return readHalf(readAt<uint16_t>(tensor.data, index), 10);
  case ONAGER_BF16:
    return readHalf(readAt<uint16_t>(tensor.data, index), 7);
  case ONAGER_U8:
    return readAt<uint8_t>(tensor.data, index);
  default:
    return readAt<int8_t>(tensor.data, index);
  }
}

/// How elements of a type are compared.
enum class Kind { ignored, exact, quantized, number };
Kind findKind(int32_t dtype) {
  switch (dtype) {
  case ONAGER_F32:
  case ONAGER_F64:
  case ONAGER_F16:
  case ONAGER_BF16:
    return Kind::number;
  case ONAGER_U8:
  case ONAGER_I8:
    return Kind::quantized;
  case ONAGER_BOOL:
  case ONAGER_U16:
  case ONAGER_I16:
  case ONAGER_U32:
  case ONAGER_I32:
  case ONAGER_U64:
  case ONAGER_I64:
    return Kind::exact;
  default:
    return Kind::ignored;
  }
}

/// Says what is wrong with the numbers of an output, or "".
std::string compareNumbers(const onager_tensor &a, const onager_tensor &b, uint64_t count) {
  double largest = 0, difference = 0;
  for (uint64_t k = 0; k < count; ++k) {
    double x = readNumber(a, k), y = readNumber(b, k);
    if (!std::isfinite(x) || !std::isfinite(y)) {
      if (x != y && !(std::isnan(x) && std::isnan(y)))
        return "is " + std::to_string(y) + " where it should be " + std::to_string(x);
      continue;
    }
    largest = std::max(largest, std::fabs(x));
    difference = std::max(difference, std::fabs(x - y));
  }
  double tolerance = a.dtype == ONAGER_F16 || a.dtype == ONAGER_BF16 ? kHalfTolerance : kTolerance;
  double allowed = findKind(a.dtype) == Kind::quantized ? 1 : tolerance * largest;
  return difference <= allowed ? "" : "by " + std::to_string(difference) + ", its largest magnitude being " + std::to_string(largest);
}

Outcome compare(const TensorInfo &info, const onager_tensor &a, const onager_tensor &b) {
  auto fail = [&](const std::string &what) { return failure(ONAGER_RUN_FAILED, "the variant differs from the generic form: output '" + info.name + "' " + what); };
  if (a.rank != b.rank || std::memcmp(a.dims, b.dims, sizeof(int64_t) * static_cast<size_t>(a.rank)) != 0)
    return fail("has another shape");
  Kind kind = findKind(a.dtype);
  uint64_t count = 1;
  for (int32_t k = 0; k < a.rank; ++k)
    count *= static_cast<uint64_t>(a.dims[k]);
  if (kind == Kind::ignored || count == 0)
    return {};
  if (kind == Kind::exact)
    return std::memcmp(a.data, b.data, count * onager_dtype_bytes(a.dtype)) == 0 ? Outcome() : fail("has other values");
  std::string what = compareNumbers(a, b, count);
  return what.empty() ? Outcome() : fail(what);
}

} // namespace

Outcome checkVariant(Session &session, const Variant &variant) {
  const Manifest &manifest = session.model->generic.manifest;
  DrawnInputs inputs(manifest, variant.guard());
  if (!inputs.isPossible)
    return {};
  Trial generic(session, session.model->generic, manifest), special(session, variant.code, manifest);
  generic.outcome = generic.frame.bindInputs(inputs.tensors.data(), inputs.tensors.size(), Frame::Data::needed);
  if (generic.outcome)
    special.outcome = special.frame.adoptInputs(generic.frame);
  for (Trial *trial : {&generic, &special})
    if (trial->outcome)
      trial->outcome = trial->frame.run(inputs.tensors.data(), trial->outputs.data(), trial->outputs.size());
  if (generic.outcome.status != special.outcome.status)
    return failure(ONAGER_RUN_FAILED, "the variant differs from the generic form: " + (generic.outcome ? special.outcome.message : generic.outcome.message));
  for (size_t k = 0; generic.outcome && k < manifest.outputs.size(); ++k)
    if (Outcome outcome = compare(manifest.outputs[k], generic.outputs[k], special.outputs[k]); !outcome)
      return outcome;
  return {};
}

} // namespace onager::rt
