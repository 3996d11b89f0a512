// NumPy arrays and the runtime's tensors. All functions need the GIL.
#ifndef ONAGER_PYTHON_ARRAYS_H
#define ONAGER_PYTHON_ARRAYS_H

// One of the module's files has NumPy's table of functions, the others refer to it.
#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL onager_numpy
#ifndef ONAGER_IMPORTS_NUMPY
#define NO_IMPORT_ARRAY
#endif
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <numpy/arrayobject.h>

#include "onager-rt/api.h"
#include "python/src/output_memory.h"
#include <vector>

namespace onager::python {

/// Sets NumPy's type of an ONNX element type.
void setType(int number, nanobind::object dtype);
/// Describes an array that is fed; `held` keeps it alive, `texts` what its elements are where it has texts.
onager_tensor readFeed(const nanobind::str &name, nanobind::handle value, std::vector<nanobind::object> &held, std::vector<std::vector<onager_string>> &texts);
/// Bytes of a tensor's elements.
uint64_t countBytes(const onager_tensor &tensor);
/// Lets outputs go into arrays of Python's: of their shapes where those are known before the run, else of as many bytes as they had in the last one.
std::vector<nanobind::object> makeOutputs(std::vector<onager_tensor> &outputs, const std::vector<uint64_t> &lastBytes, OutputMemory &memory);
/// Copies an output whose shape depended on values out of the context's memory.
nanobind::object copyOutput(const onager_tensor &output, OutputMemory &memory);
/// Makes an array of an output that was offered memory. One that is much smaller than its memory would keep too much of it: it is copied.
nanobind::object takeOffer(const onager_tensor &output, const nanobind::object &offer, OutputMemory &memory);
/// Makes an array of str objects; bytes that are no UTF-8 are escaped as Python's file names are.
nanobind::object makeTexts(const onager_tensor &output);

} // namespace onager::python

#endif
