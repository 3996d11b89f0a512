// Tensors in a program's memory and the file formats that hold them, for the tools and for programs made by --emit=exe. Everything read is checked; bad files throw FileError.
#ifndef ONAGER_RUNTIME_FORMATS_TENSOR_H
#define ONAGER_RUNTIME_FORMATS_TENSOR_H

#include "onager-rt/api.h"
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace onager::formats {

/// Says what is wrong with a file, or with what one was given as.
struct FileError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A dense row-major tensor, laid out as the runtime wants it: 4- and 2-bit elements take a byte each.
struct Tensor {
  int32_t dtype = 0; ///< onager_dtype; 0: elements of `elementBytes` bytes whose type the file does not tell
  size_t elementBytes = 0;
  std::vector<int64_t> dims;
  std::vector<char> data;          ///< of strings: as many onager_string, which toRuntime fills in
  std::vector<std::string> texts;  ///< the elements of a tensor of strings

  size_t size() const { return elementBytes ? data.size() / elementBytes : 0; }
};

/// Returns a type's name ("float32") and its descriptor in .npy files ("<f4").
const char *getTypeName(int32_t dtype);
const char *getTypeDescriptor(int32_t dtype);

/// Returns the number of elements; nothing for negative dims and overflow.
std::optional<uint64_t> countElements(const std::vector<int64_t> &dims);

/// Returns a tensor of zeros; fails where the dims are negative or too many.
Tensor makeTensor(int32_t dtype, std::vector<int64_t> dims);

/// Describes a tensor for the runtime, and copies one that the runtime has made. The description refers to the tensor's memory.
onager_tensor toRuntime(Tensor &tensor);
Tensor fromRuntime(const onager_tensor &tensor);

/// Prints a text of a file in quotes, for messages: what is no printable ASCII as '?', and its beginning alone where it is long.
std::string quoteText(std::string_view text);

/// Prints dims as [1, 3, 224].
std::string describeDims(const std::vector<int64_t> &dims);

/// Returns one element; exact for all element types that are numbers.
long double getElement(const Tensor &tensor, size_t index);

/// Gives elements that a file stores as plain bytes the type that the model expects, where it has the same size; checks the range of
/// bool, 4- and 2-bit elements. Other mismatches are left to the runtime, which names them.
void adaptType(Tensor &tensor, int32_t expected, const std::string &who);

/// Prints an element: a number, or a text in quotes.
std::string printElement(const Tensor &tensor, size_t index);

/// Read and write NumPy's .npy format, versions 1 to 3: little-endian, C order. Texts are of fixed width there and lose zeros at their ends.
Tensor parseNpy(std::string_view bytes, const std::string &who);
std::string formatNpy(const Tensor &tensor);

/// Reads the arrays of a .npz archive, stored or deflated.
std::vector<std::pair<std::string, Tensor>> parseNpz(std::string_view bytes, const std::string &who);

/// Reads a serialised onnx.TensorProto.
Tensor parseTensorProto(std::string_view bytes, const std::string &who);

/// Reads a .npy or .pb file.
Tensor readTensor(const std::string &path);
/// Reads a .npz file.
std::vector<std::pair<std::string, Tensor>> readArchive(const std::string &path);

/// Turns an input's or output's name into a file name.
std::string makeFileName(const std::string &name);

} // namespace onager::formats

#endif
