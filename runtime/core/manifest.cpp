// Encoding and decoding of manifests; the grammar is in manifest.h.
#include "runtime/core/manifest.h"
#include <cstddef>
#include <cstring>
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace onager::rt {

static constexpr uint64_t kMagic = 0x354e414d52474e4full; // "ONGRMAN5"
/// ONNX's numbers of types of attributes: of three in a row each, FLOAT, INT and STRING, and their lists.
static constexpr uint64_t kFloat = 1, kTensor = 4, kFloats = 6;

uint64_t hashBytes(const void *data, size_t size) { return XXH64(data, size, 0); }

const char *findArtifact(const char *file, uint64_t size, Footer &footer, uint64_t &start) {
  if (size < sizeof footer)
    return "is not an Onager artifact, or was cut off";
  std::memcpy(&footer, file + size - sizeof footer, sizeof footer);
  if (footer.magic != kFooterMagic)
    return "is not an Onager artifact, or was cut off";
  if (footer.footerHash != hashBytes(&footer, offsetof(Footer, footerHash)))
    return "has a damaged footer";
  uint64_t room = size - sizeof footer;
  constexpr uint64_t kLeastCode = 64; // an ELF header
  bool fits = footer.codeBytes >= kLeastCode && footer.codeBytes <= footer.weightStart && footer.weightStart % kWeightAlignment == 0 && footer.weightStart <= room &&
              footer.weightBytes <= room - footer.weightStart;
  start = fits ? room - footer.weightStart - footer.weightBytes : 1;
  return start % kWeightAlignment == 0 ? nullptr : "has a length that its footer does not describe";
}

/// Divides and rounds down, up or to zero. REQUIRES: b is neither 0 nor -1.
static int64_t divide(uint64_t op, int64_t a, int64_t b) {
  int64_t quotient = a / b;
  bool isInexact = a % b != 0, isNegative = (a < 0) != (b < 0);
  if (op == Expr::FloorDiv)
    return quotient - (isInexact && isNegative);
  return quotient + (op == Expr::CeilDiv && isInexact && !isNegative);
}

/// Applies a binary operation; false on overflow.
static bool apply(uint64_t op, int64_t a, int64_t b, int64_t &out) {
  switch (op) {
  case Expr::Add:
    return !__builtin_add_overflow(a, b, &out);
  case Expr::Mul:
    return !__builtin_mul_overflow(a, b, &out);
  case Expr::FloorDiv: case Expr::CeilDiv: case Expr::TruncDiv:
    out = b == 0 || b == -1 ? 0 : divide(op, a, b);
    return b != -1 || !__builtin_sub_overflow(int64_t(0), a, &out);
  case Expr::Mod:
    // Not a minus quotient times b: that product may be out of range.
    out = b == 0 || b == -1 ? 0 : a % b;
    out += out != 0 && (out < 0) != (b < 0) ? b : 0;
    return true;
  case Expr::Max:
    out = a > b ? a : b;
    return true;
  case Expr::Min:
    out = a < b ? a : b;
    return true;
  default:
    out = a == 1 ? b : a;
    return true;
  }
}

int64_t Expr::evaluate(const int64_t *symbols, bool &bad) const {
  int64_t stack[64];
  size_t depth = 0;
  for (const Token &token : tokens) {
    if (token.op == Const || token.op == Symbol) {
      if (depth == 64) {
        bad = true;
        return 0;
      }
      stack[depth++] = token.op == Const ? token.value : symbols[token.value];
    } else if (token.op == SelectEqual) {
      if (depth < 4) {
        bad = true;
        return 0;
      }
      depth -= 3;
      stack[depth - 1] = stack[depth - 1] == stack[depth] ? stack[depth + 1] : stack[depth + 2];
    } else {
      if (depth < 2 || !apply(token.op, stack[depth - 2], stack[depth - 1], stack[depth - 2])) {
        bad = true;
        return 0;
      }
      --depth;
    }
  }
  if (depth != 1)
    bad = true;
  return bad ? 0 : stack[0];
}

bool Expr::isSymbol(int64_t &symbol) const {
  if (tokens.size() != 1 || tokens[0].op != Symbol)
    return false;
  symbol = tokens[0].value;
  return true;
}

bool Expr::isConstant(int64_t &value) const {
  if (tokens.size() != 1 || tokens[0].op != Const)
    return false;
  value = tokens[0].value;
  return true;
}

std::string Expr::print(const std::vector<std::string> &names) const {
  static const char *const operators[] = {"", "", " + ", " * ", " // ", " ceildiv ", " % ", " max ", " min ", " broadcast ", " / "};
  std::vector<std::string> stack;
  for (const Token &token : tokens) {
    if (token.op == Const) {
      stack.push_back(std::to_string(token.value));
    } else if (token.op == Symbol) {
      const std::string &name = names[token.value];
      stack.push_back(name.empty() ? "s" + std::to_string(token.value) : name);
    } else if (token.op == SelectEqual) {
      if (stack.size() < 4)
        continue;
      size_t n = stack.size();
      stack[n - 4] = "(" + stack[n - 4] + " == " + stack[n - 3] + " ? " + stack[n - 2] + " : " + stack[n - 1] + ")";
      stack.resize(n - 3);
    } else if (stack.size() >= 2) {
      std::string right = stack.back();
      stack.pop_back();
      stack.back() = "(" + stack.back() + operators[token.op] + right + ")";
    }
  }
  return stack.empty() ? "?" : stack.back();
}

namespace {

struct Writer {
  std::string out;
  void number(uint64_t x) { out.append(reinterpret_cast<const char *>(&x), 8); }
  void text(const std::string &x) {
    number(x.size());
    out += x;
  }
  void expr(const Expr &x) {
    number(x.tokens.size());
    for (const Expr::Token &token : x.tokens) {
      number(token.op);
      number(static_cast<uint64_t>(token.value));
    }
  }
  template <typename T, typename F>
  void list(const std::vector<T> &items, F write) {
    number(items.size());
    for (const T &item : items)
      write(item);
  }
  void tensors(const std::vector<TensorInfo> &items) {
    list(items, [&](const TensorInfo &t) {
      text(t.name);
      number(t.dtype);
      list(t.dims, [&](const Expr &dim) { expr(dim); });
      number(static_cast<uint64_t>(t.block));
      text(t.value);
      text(t.form);
    });
  }
  void numbers(const std::vector<int64_t> &items) {
    list(items, [&](int64_t x) { number(static_cast<uint64_t>(x)); });
  }
  void texts(const std::vector<std::string> &items) {
    list(items, [&](const std::string &x) { text(x); });
  }
  void guard(const Guard &items) {
    list(items, [&](const Atom &x) {
      number(x.kind);
      number(x.symbol);
      number(static_cast<uint64_t>(x.a));
      number(static_cast<uint64_t>(x.b));
    });
  }
  void real(float x) {
    uint64_t bits = 0;
    std::memcpy(&bits, &x, sizeof x);
    number(bits);
  }
  void customOperator(const CustomNodeInfo &x) {
    text(x.domain);
    text(x.type);
    text(x.node);
    number(x.version);
    numbers(x.inputs);
    list(x.results, [&](const ResultInfo &result) {
      number(result.dtype);
      numbers(result.dims);
    });
    list(x.attributes, [&](const AttributeInfo &attribute) {
      text(attribute.name);
      number(attribute.type);
      numbers(attribute.ints);
      list(attribute.floats, [&](float value) { real(value); });
      texts(attribute.strings);
    });
  }
};

/// True where an attribute has values of its type alone, and one where it is no list.
bool isWhole(const AttributeInfo &x) {
  if (x.type == kTensor)
    return !x.ints.empty() && x.floats.empty() && x.strings.size() == 1;
  size_t counts[] = {x.floats.size(), x.ints.size(), x.strings.size()};
  uint64_t kind = x.type > kTensor ? x.type - kFloats : x.type - kFloat;
  if (kind > 2 || counts[0] + counts[1] + counts[2] != counts[kind])
    return false;
  return x.type > kTensor || counts[kind] == 1;
}

struct Reader {
  const uint8_t *at, *end;
  uint64_t symbols = 0;
  bool bad = false;

  uint64_t number() {
    uint64_t x = 0;
    if (end - at < 8) {
      bad = true;
      return 0;
    }
    std::memcpy(&x, at, 8);
    at += 8;
    return x;
  }
  std::string text() {
    uint64_t size = number();
    if (bad || size > static_cast<uint64_t>(end - at)) {
      bad = true;
      return {};
    }
    std::string x(reinterpret_cast<const char *>(at), size);
    at += size;
    return x;
  }
  /// Reads a list; every item takes at least `least` bytes, which bounds the count by the data.
  template <typename T, typename F>
  std::vector<T> list(size_t least, F read) {
    uint64_t count = number();
    std::vector<T> items;
    if (bad || count > static_cast<uint64_t>(end - at) / least) {
      bad = true;
      return items;
    }
    for (uint64_t k = 0; k < count && !bad; ++k)
      items.push_back(read());
    return items;
  }
  Expr expr() {
    Expr x;
    x.tokens = list<Expr::Token>(16, [&] {
      Expr::Token token{number(), 0};
      token.value = static_cast<int64_t>(number());
      bad |= token.op >= Expr::Count || (token.op == Expr::Symbol && static_cast<uint64_t>(token.value) >= symbols);
      return token;
    });
    return x;
  }
  std::vector<TensorInfo> tensors(uint64_t blocksLimit) {
    return list<TensorInfo>(48, [&] {
      TensorInfo t;
      t.name = text();
      t.dtype = number();
      t.dims = list<Expr>(8, [&] { return expr(); });
      t.block = static_cast<int64_t>(number());
      t.value = text();
      t.form = text();
      bad |= t.block < -1 || t.block >= static_cast<int64_t>(blocksLimit);
      return t;
    });
  }
  std::vector<int64_t> numbers() {
    return list<int64_t>(8, [&] { return static_cast<int64_t>(number()); });
  }
  std::vector<std::string> texts() {
    return list<std::string>(8, [&] { return text(); });
  }
  Guard guard() {
    return list<Atom>(32, [&] {
      Atom x{number(), number(), 0, 0};
      x.a = static_cast<int64_t>(number());
      x.b = static_cast<int64_t>(number());
      bad |= x.kind >= Atom::Count || x.symbol >= symbols || (x.kind == Atom::Divisible && x.a <= 0) ||
             (x.kind == Atom::Same && static_cast<uint64_t>(x.a) >= symbols);
      return x;
    });
  }
  float real() {
    uint64_t bits = number();
    bad |= bits > UINT32_MAX;
    float x = 0;
    std::memcpy(&x, &bits, sizeof x);
    return x;
  }
  AttributeInfo attribute() {
    AttributeInfo x{text(), number(), numbers(), {}, {}};
    x.floats = list<float>(8, [&] { return real(); });
    x.strings = texts();
    bad |= !isWhole(x);
    return x;
  }
  CustomNodeInfo customOperator() {
    CustomNodeInfo x{text(), text(), text(), number(), numbers(), {}, {}};
    x.results = list<ResultInfo>(16, [&] {
      ResultInfo result{number(), numbers()};
      for (int64_t extent : result.dims)
        bad |= extent < ResultInfo::kKnown;
      return result;
    });
    x.attributes = list<AttributeInfo>(40, [&] { return attribute(); });
    return x;
  }
};

} // namespace

/// True where an input whose values may have symbols has so many elements.
static bool hasElement(const TensorInfo &info, uint64_t element) {
  // ONNX's numbers: uint8 to int64, bool, uint32.
  bool isInteger = (info.dtype >= 2 && info.dtype <= 7) || info.dtype == 9 || info.dtype == 12;
  uint64_t count = 1;
  for (const Expr &dim : info.dims) {
    int64_t extent;
    if (!dim.isConstant(extent) || extent < 0 || static_cast<uint64_t>(extent) > ValueInfo::kMostElements)
      return false;
    count = std::min(count * static_cast<uint64_t>(extent), ValueInfo::kMostElements);
  }
  return isInteger && element < count;
}

std::string encode(const Manifest &m) {
  Writer w;
  w.number(kMagic);
  w.text(m.name);
  w.texts(m.features);
  w.texts(m.symbols);
  w.tensors(m.inputs);
  w.tensors(m.outputs);
  w.list(m.derived, [&](const Derived &x) {
    w.number(x.symbol);
    w.expr(x.expr);
  });
  w.list(m.slots, [&](const Slot &x) {
    w.expr(x.bytes);
    w.number(x.first);
    w.number(x.last);
    w.number(x.perThread);
  });
  w.number(m.blocks);
  w.list(m.launches, [&](const Launch &x) {
    w.text(x.name);
    w.text(x.hero);
    w.expr(x.flops);
    w.expr(x.bytes);
  });
  w.texts(m.errors);
  w.number(m.weightBytes);
  w.expr(m.work);
  w.texts(m.strings);
  w.list(m.operators, [&](const CustomNodeInfo &x) { w.customOperator(x); });
  w.guard(m.guard);
  w.list(m.values, [&](const ValueInfo &x) {
    w.number(x.symbol);
    w.number(x.input);
    w.number(x.element);
  });
  return w.out;
}

bool decode(const uint8_t *data, size_t size, Manifest &m, std::string &error) {
  Reader r{data, data + size};
  if (r.number() != kMagic) {
    error = "not a manifest of this version";
    return false;
  }
  m.name = r.text();
  m.features = r.texts();
  m.symbols = r.texts();
  r.symbols = m.symbols.size();
  m.inputs = r.tensors(UINT64_MAX >> 1);
  m.outputs = r.tensors(UINT64_MAX >> 1);
  m.derived = r.list<Derived>(16, [&] {
    Derived x{r.number(), {}};
    x.expr = r.expr();
    r.bad |= x.symbol >= r.symbols;
    return x;
  });
  m.slots = r.list<Slot>(32, [&] {
    Slot x{r.expr(), 0, 0, 0};
    x.first = r.number();
    x.last = r.number();
    x.perThread = r.number();
    return x;
  });
  m.blocks = r.number();
  m.launches = r.list<Launch>(32, [&] {
    Launch x{r.text(), {}, {}, {}};
    x.hero = r.text();
    x.flops = r.expr();
    x.bytes = r.expr();
    return x;
  });
  m.errors = r.texts();
  m.weightBytes = r.number();
  m.work = r.expr();
  m.strings = r.texts();
  m.operators = r.list<CustomNodeInfo>(56, [&] { return r.customOperator(); });
  m.guard = r.guard();
  m.values = r.list<ValueInfo>(24, [&] {
    ValueInfo x{r.number(), r.number(), r.number()};
    r.bad |= x.symbol >= r.symbols || x.input >= m.inputs.size() || !hasElement(m.inputs[x.input], x.element);
    return x;
  });
  for (const TensorInfo &t : m.outputs)
    r.bad |= t.block >= static_cast<int64_t>(m.blocks);
  if (r.bad || r.at != r.end || m.blocks > (1u << 20)) {
    error = "the manifest is damaged";
    return false;
  }
  return true;
}

} // namespace onager::rt
