// onager._compiler: the compiler for Python.
#include "onager/Compiler.h"
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

namespace nb = nanobind;

/// Text for Python; names in a damaged model need not be UTF-8.
static nb::str decode(const std::string &text) {
  PyObject *object = PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace");
  if (!object)
    throw nb::python_error();
  return nb::steal<nb::str>(object);
}

/// compile(path, data, output, [(option, value)], [address of onager_operator]) -> (status, error, report, text). Releases the GIL.
static nb::tuple compile(const std::string &path, nb::bytes data, const std::string &output, const std::vector<std::tuple<std::string, std::string>> &pairs,
                         const std::vector<uintptr_t> &operators) {
  onager::CompileOptions options;
  options.model = path;
  options.bytes = {data.c_str(), data.size()};
  options.output = output;
  for (uintptr_t address : operators)
    options.operators.push_back(reinterpret_cast<const onager_operator *>(address));
  std::string error;
  for (const auto &[key, value] : pairs)
    if (!onager::setOption(options, key, value, error))
      return nb::make_tuple(static_cast<int>(onager::Status::badOption), decode(error), "", "");
  onager::CompileResult result;
  {
    nb::gil_scoped_release release;
    result = onager::compile(options);
  }
  return nb::make_tuple(static_cast<int>(result.status), decode(result.error), decode(result.report), decode(result.text));
}

NB_MODULE(_compiler, m) { m.def("compile", &compile, nb::arg("path"), nb::arg("data"), nb::arg("output"), nb::arg("options"), nb::arg("operators")); }
