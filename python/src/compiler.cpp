// onager._compiler: the compiler for Python.
#include "onager/Compiler.h"
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

namespace nb = nanobind;

/// compile(path, data, output, [(option, value)]) -> (status, error, report, text). Releases the GIL.
static std::tuple<int, std::string, std::string, std::string> compile(const std::string &path, nb::bytes data, const std::string &output,
                                                                     const std::vector<std::tuple<std::string, std::string>> &pairs) {
  onager::CompileOptions options;
  options.model = path;
  options.bytes = {data.c_str(), data.size()};
  options.output = output;
  std::string error;
  for (const auto &[key, value] : pairs)
    if (!onager::setOption(options, key, value, error))
      return {static_cast<int>(onager::Status::badOption), error, "", ""};
  nb::gil_scoped_release release;
  onager::CompileResult result = onager::compile(options);
  return {static_cast<int>(result.status), result.error, result.report, result.text};
}

NB_MODULE(_compiler, m) { m.def("compile", &compile, nb::arg("path"), nb::arg("data"), nb::arg("output"), nb::arg("options")); }
