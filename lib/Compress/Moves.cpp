// Codes of 2 bits.
#include "lib/Compress/Moves.h"
#include "llvm/Support/Base64.h"
#include <algorithm>

namespace onager::compress {

namespace {

enum Code : uint8_t { kStays, kUp, kDown, kFar };
constexpr int kFarBits = 10, kFarZero = 512;

class Writer {
public:
  void add(int move) {
    if (move >= -1 && move <= 1)
      return addCode(move == 0 ? kStays : move == 1 ? kUp : kDown);
    addCode(kFar);
    for (int shift = 0; shift < kFarBits; shift += 2)
      addCode(static_cast<uint8_t>((move + kFarZero) >> shift & 3));
  }
  std::string finish() const { return llvm::encodeBase64(bytes); }

private:
  void addCode(uint8_t code) {
    if (count % 4 == 0)
      bytes.push_back(0);
    bytes.back() = static_cast<char>(static_cast<uint8_t>(bytes.back()) | code << count++ % 4 * 2);
  }

  std::vector<char> bytes;
  size_t count = 0;
};

class Reader {
public:
  explicit Reader(std::vector<char> bytes) : bytes(std::move(bytes)) {}

  int take() {
    uint8_t code = takeCode();
    if (code != kFar)
      return code == kStays ? 0 : code == kUp ? 1 : -1;
    int move = 0;
    for (int shift = 0; shift < kFarBits; shift += 2)
      move |= takeCode() << shift;
    return move - kFarZero;
  }
  /// True where as many codes were taken as there are, but for those that fill up the last byte.
  bool isAtEnd() const { return (count + 3) / 4 == bytes.size(); }

private:
  uint8_t takeCode() {
    uint8_t byte = count / 4 < bytes.size() ? static_cast<uint8_t>(bytes[count / 4]) : 0;
    return byte >> count++ % 4 * 2 & 3;
  }

  std::vector<char> bytes;
  size_t count = 0;
};

} // namespace

std::string printMoves(const std::vector<RoundedGroup> &from, const std::vector<RoundedGroup> &to) {
  Writer writer;
  for (size_t g = 0; g < from.size(); ++g)
    for (size_t k = 0; k < from[g].integers.size(); ++k)
      writer.add(to[g].integers[k] - from[g].integers[k]);
  return writer.finish();
}

bool applyMoves(llvm::StringRef text, const IntegerForm &form, std::vector<RoundedGroup> &groups) {
  std::vector<char> bytes;
  if (llvm::Error error = llvm::decodeBase64(text, bytes)) {
    llvm::consumeError(std::move(error));
    return false;
  }
  Reader reader(std::move(bytes));
  bool isInside = true;
  for (RoundedGroup &group : groups)
    for (uint8_t &integer : group.integers) {
      int moved = integer + reader.take();
      isInside &= static_cast<float>(moved) >= form.getLeast() && static_cast<float>(moved) <= form.getMost();
      integer = static_cast<uint8_t>(moved);
    }
  return isInside && reader.isAtEnd();
}

} // namespace onager::compress
