// Arrays of inputs and outputs, without copies where they are dense.
#include "python/src/arrays.h"
#include <algorithm>
#include <cstring>
#include <numeric>

namespace nb = nanobind;

namespace onager::python {

/// NumPy's type of each ONNX element type, set by the package; an empty handle where there is none.
static constexpr int kTypes = 32;
static PyArray_Descr *descriptors[kTypes];

void setType(int number, nb::object dtype) {
  if (number < 0 || number >= kTypes)
    throw nb::value_error("no such element type");
  PyArray_Descr *descriptor = nullptr;
  if (!PyArray_DescrConverter(dtype.ptr(), &descriptor))
    throw nb::python_error();
  descriptors[number] = descriptor;
}

static int findType(PyArray_Descr *descriptor) {
  for (int k = 0; k < kTypes; ++k)
    if (descriptors[k] && descriptors[k]->type_num == descriptor->type_num)
      return k;
  // NumPy has two names for the same 64-bit integer.
  for (int k = 0; k < kTypes; ++k)
    if (descriptors[k] && PyArray_EquivTypes(descriptors[k], descriptor))
      return k;
  return 0;
}

/// Returns a view of another library's tensor through DLPack, without a copy; the object itself where it offers none.
static nb::object viewTensor(nb::handle value) {
  if (PyArray_Check(value.ptr()) || !nb::hasattr(value, "__dlpack__"))
    return nb::borrow(value);
  nb::object convert = nb::module_::import_("numpy").attr("from_dlpack");
  PyObject *view = PyObject_CallOneArg(convert.ptr(), value.ptr());
  if (view)
    return nb::steal(view);
  // NumPy has no such type, or the tensor lies elsewhere: the object may still turn itself into an array.
  PyErr_Clear();
  return nb::borrow(value);
}

/// Makes a dense array in machine byte order of what was fed; the array itself where it is one.
static nb::object toArray(nb::handle value, const std::string &name) {
  nb::object viewed = viewTensor(value);
  PyObject *array = PyArray_CheckFromAny(viewed.ptr(), nullptr, 0, 0, NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED | NPY_ARRAY_NOTSWAPPED, nullptr);
  if (!array) {
    PyErr_Clear();
    throw nb::type_error(("input '" + name + "': expected an array").c_str());
  }
  return nb::steal(array);
}

/// Views of the texts of an array of str or bytes objects, or of NumPy's fixed-width strings, which are converted first; `held` keeps them alive.
static std::vector<onager_string> readTexts(PyArrayObject *&array, nb::object &held, const std::string &name) {
  if (PyArray_TYPE(array) != NPY_OBJECT) {
    PyObject *objects = PyArray_Cast(array, NPY_OBJECT);
    if (!objects)
      throw nb::python_error();
    held = nb::steal(objects);
    array = reinterpret_cast<PyArrayObject *>(objects);
  }
  std::vector<onager_string> texts;
  auto *elements = static_cast<PyObject **>(PyArray_DATA(array));
  for (npy_intp k = 0; k < PyArray_SIZE(array); ++k) {
    Py_ssize_t bytes = 0;
    char *data = nullptr;
    if (PyUnicode_Check(elements[k]))
      data = const_cast<char *>(PyUnicode_AsUTF8AndSize(elements[k], &bytes));
    else if (PyBytes_Check(elements[k]))
      PyBytes_AsStringAndSize(elements[k], &data, &bytes);
    if (!data) {
      PyErr_Clear();
      throw nb::type_error(("input '" + name + "': expected str or bytes at element " + std::to_string(k)).c_str());
    }
    texts.push_back({data, static_cast<uint64_t>(bytes)});
  }
  return texts;
}

nb::object makeTexts(const onager_tensor &output) {
  PyObject *array = PyArray_SimpleNew(output.rank, reinterpret_cast<const npy_intp *>(output.dims), NPY_OBJECT);
  if (!array)
    throw nb::python_error();
  nb::object result = nb::steal(array);
  auto **elements = static_cast<PyObject **>(PyArray_DATA(reinterpret_cast<PyArrayObject *>(array)));
  auto *texts = static_cast<const onager_string *>(output.data);
  for (npy_intp k = 0; k < PyArray_SIZE(reinterpret_cast<PyArrayObject *>(array)); ++k) {
    PyObject *text = PyUnicode_DecodeUTF8(texts[k].data, static_cast<Py_ssize_t>(texts[k].bytes), "surrogateescape");
    if (!text)
      throw nb::python_error();
    Py_XSETREF(elements[k], text);
  }
  return result;
}

uint64_t countBytes(const onager_tensor &tensor) {
  return std::accumulate(tensor.dims, tensor.dims + tensor.rank, static_cast<uint64_t>(onager_dtype_bytes(tensor.dtype)),
                         [](uint64_t product, int64_t extent) { return product * static_cast<uint64_t>(extent); });
}

/// Makes an array over memory that `owner` keeps, or, without it, of memory of its own.
static nb::object makeArray(PyArray_Descr *descriptor, int rank, const int64_t *dims, void *data = nullptr, nb::object owner = {}) {
  if (!descriptor)
    throw std::runtime_error("an output has an element type that NumPy does not know here");
  Py_INCREF(descriptor);
  PyObject *array = PyArray_NewFromDescr(&PyArray_Type, descriptor, rank, reinterpret_cast<const npy_intp *>(dims), nullptr, data, data ? NPY_ARRAY_CARRAY : 0, nullptr);
  if (!array)
    throw nb::python_error();
  nb::object result = nb::steal(array);
  if (owner.is_valid() && PyArray_SetBaseObject(reinterpret_cast<PyArrayObject *>(array), owner.release().ptr()))
    throw nb::python_error();
  return result;
}

/// Makes an array for an output, from memory of earlier ones where it is large.
static nb::object makeArray(const onager_tensor &tensor, OutputMemory &memory) {
  PyArray_Descr *descriptor = tensor.dtype > 0 && tensor.dtype < kTypes ? descriptors[tensor.dtype] : nullptr;
  uint64_t bytes = countBytes(tensor);
  if (bytes < OutputMemory::kLeastBytes)
    return makeArray(descriptor, tensor.rank, tensor.dims);
  auto [data, owner] = memory.take(bytes);
  return makeArray(descriptor, tensor.rank, tensor.dims, data, std::move(owner));
}

onager_tensor readFeed(const nb::str &name, nb::handle value, std::vector<nb::object> &held, std::vector<std::vector<onager_string>> &texts) {
  held.push_back(toArray(value, name.c_str()));
  auto *array = reinterpret_cast<PyArrayObject *>(held.back().ptr());
  if (PyTypeNum_ISSTRING(PyArray_TYPE(array)) || PyArray_TYPE(array) == NPY_OBJECT) {
    texts.push_back(readTexts(array, held.back(), name.c_str()));
    return {sizeof(onager_tensor), ONAGER_STRING, PyArray_NDIM(array), 0, texts.back().data(), reinterpret_cast<const int64_t *>(PyArray_DIMS(array)),
            texts.back().size() * sizeof(onager_string)};
  }
  return {sizeof(onager_tensor), findType(PyArray_DESCR(array)), PyArray_NDIM(array), 0, PyArray_DATA(array), reinterpret_cast<const int64_t *>(PyArray_DIMS(array)),
          static_cast<uint64_t>(PyArray_NBYTES(array))};
}

/// Outputs smaller than this are copied from the context's memory.
static constexpr uint64_t kLeastOffer = 1 << 16;

std::vector<nb::object> makeOutputs(std::vector<onager_tensor> &outputs, const std::vector<uint64_t> &lastBytes, OutputMemory &memory) {
  std::vector<nb::object> arrays(outputs.size());
  for (size_t k = 0; k < outputs.size(); ++k) {
    if (outputs[k].dtype == ONAGER_STRING)
      continue;
    bool isOpen = std::any_of(outputs[k].dims, outputs[k].dims + outputs[k].rank, [](int64_t extent) { return extent < 0; });
    if (isOpen && lastBytes[k] < kLeastOffer)
      continue;
    auto bytes = static_cast<int64_t>(lastBytes[k]);
    arrays[k] = makeArray(isOpen ? onager_tensor{sizeof(onager_tensor), ONAGER_U8, 1, 0, nullptr, &bytes, 0} : outputs[k], memory);
    auto *array = reinterpret_cast<PyArrayObject *>(arrays[k].ptr());
    outputs[k].is_offer = isOpen;
    outputs[k].data = PyArray_DATA(array);
    outputs[k].bytes = static_cast<uint64_t>(PyArray_NBYTES(array));
  }
  return arrays;
}

nb::object copyOutput(const onager_tensor &output, OutputMemory &memory) {
  nb::object result = makeArray(output, memory);
  auto *array = reinterpret_cast<PyArrayObject *>(result.ptr());
  if (PyArray_NBYTES(array))
    std::memcpy(PyArray_DATA(array), output.data, static_cast<size_t>(PyArray_NBYTES(array)));
  return result;
}

nb::object takeOffer(const onager_tensor &output, const nb::object &offer, OutputMemory &memory) {
  auto *bytes = reinterpret_cast<PyArrayObject *>(offer.ptr());
  bool fits = output.data == PyArray_DATA(bytes) && countBytes(output) >= static_cast<uint64_t>(PyArray_NBYTES(bytes)) / 2;
  return fits ? makeArray(descriptors[output.dtype], output.rank, output.dims, output.data, offer) : copyOutput(output, memory);
}

} // namespace onager::python
