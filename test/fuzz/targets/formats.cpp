// .npy, .npz and .pb files: what is read has data of its shape's size, and is the same after it was written and read again.
#include "runtime/formats/Tensor.h"
#include <cstdlib>
#include <cstring>

using namespace onager::formats;

static void expect(bool holds) {
  if (!holds)
    std::abort();
}

static void useTensor(Tensor tensor) {
  std::optional<uint64_t> count = countElements(tensor.dims);
  expect(count && (tensor.elementBytes == 0 || *count == tensor.size()));
  if (tensor.dtype) {
    for (size_t k = 0; k < tensor.size() && k < 64; ++k)
      printElement(tensor, k);
    Tensor again = parseNpy(formatNpy(tensor), "again");
    expect(again.dims == tensor.dims && (tensor.dtype == ONAGER_STRING || again.data == tensor.data));
    expect(fromRuntime(toRuntime(tensor)).texts == tensor.texts);
  }
  int32_t wanted = static_cast<int32_t>(tensor.data.size() % (ONAGER_I2 + 2));
  size_t bytes = tensor.data.size();
  adaptType(tensor, wanted, "x");
  expect(tensor.data.size() == bytes);
}

/// Calls `read`, which may refuse.
template <typename Read> static void attempt(Read read) {
  try {
    read();
  } catch (const FileError &error) {
    expect(*error.what() && !std::strchr(error.what(), '\n'));
  }
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view bytes(reinterpret_cast<const char *>(data), size);
  if (bytes.starts_with("\x93"))
    attempt([&] { useTensor(parseNpy(bytes, "x")); });
  else if (!bytes.starts_with("PK"))
    attempt([&] { useTensor(parseTensorProto(bytes, "x")); });
  else
    attempt([&] {
      for (auto &[name, tensor] : parseNpz(bytes, "x"))
        useTensor(tensor);
    });
  return 0;
}
