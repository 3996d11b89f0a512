// onager._runtime: sessions for Python, over the runtime's C API. NumPy arrays go in and out without copies where they are dense.
#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>
#include <numpy/arrayobject.h>

#include "onager-rt/api.h"
#include "python/src/operators.h"
#include "python/src/output_memory.h"
#include <algorithm>
#include <cstring>
#include <mutex>
#include <numeric>

namespace nb = nanobind;

namespace {

/// NumPy's type of each ONNX element type, set by the package; an empty handle where there is none.
constexpr int kTypes = 32;
PyArray_Descr *descriptors[kTypes];

void setType(int number, nb::object dtype) {
  if (number < 0 || number >= kTypes)
    throw nb::value_error("no such element type");
  PyArray_Descr *descriptor = nullptr;
  if (!PyArray_DescrConverter(dtype.ptr(), &descriptor))
    throw nb::python_error();
  descriptors[number] = descriptor;
}

int findType(PyArray_Descr *descriptor) {
  for (int k = 0; k < kTypes; ++k)
    if (descriptors[k] && descriptors[k]->type_num == descriptor->type_num)
      return k;
  // NumPy has two names for the same 64-bit integer.
  for (int k = 0; k < kTypes; ++k)
    if (descriptors[k] && PyArray_EquivTypes(descriptors[k], descriptor))
      return k;
  return 0;
}

[[noreturn]] void raise(onager_status status) {
  if (status == ONAGER_BAD_ARGUMENT)
    throw nb::value_error(onager_last_error());
  throw std::runtime_error(onager_last_error());
}

void check(onager_status status) {
  if (status)
    raise(status);
}

struct Lease;

const char *const modes[] = {"", "off", "lazy", "eager", "frozen"};

int findMode(const std::string &name) {
  for (int k = 0; k <= ONAGER_RECOMPILE_FROZEN; ++k)
    if (name == modes[k])
      return k;
  throw nb::value_error(("recompile: expected off, lazy, eager or frozen, found '" + name + "'").c_str());
}

class Session {
public:
  Session(const std::string &path, nb::bytes data, int threads, const std::string &recompile, const std::optional<std::string> &library) {
    onager_recompilation recompilation{};
    recompilation.size = sizeof recompilation;
    recompilation.mode = findMode(recompile);
    recompilation.library = library ? library->c_str() : nullptr;
    onager_options options{};
    options.size = sizeof options;
    options.threads = threads;
    options.recompilation = &recompilation;
    onager_status status;
    {
      nb::gil_scoped_release release;
      status = data.size() ? onager_session_open_memory(data.c_str(), data.size(), &options, &session) : onager_session_open(path.c_str(), &options, &session);
    }
    check(status);
    for (size_t k = 0; k < onager_session_inputs(session); ++k)
      names.push_back(nb::str(info(true, k).name));
    for (size_t k = 0; k < onager_session_outputs(session); ++k)
      outputNames.push_back(nb::str(info(false, k).name));
  }
  ~Session() {
    for (onager_context *context : idle)
      onager_context_destroy(context);
    onager_session_close(session);
  }

  onager_info info(bool isInput, size_t k) const {
    onager_info result{};
    result.size = sizeof result;
    check(isInput ? onager_session_input(session, k, &result) : onager_session_output(session, k, &result));
    return result;
  }

  nb::list describe(bool isInput) const {
    nb::list result;
    for (size_t k = 0, count = isInput ? names.size() : outputNames.size(); k < count; ++k) {
      onager_info i = info(isInput, k);
      nb::list dims;
      for (int d = 0; d < i.rank; ++d)
        if (i.dims[d] >= 0)
          dims.append(i.dims[d]);
        else
          dims.append(i.dim_names[d]);
      result.append(nb::make_tuple(i.name, i.dtype, dims, i.value, i.form));
    }
    return result;
  }

  nb::list run(nb::handle wanted, nb::dict feeds);
  int threads() const { return onager_session_threads(session); }
  void warmUp(nb::dict feeds, bool wait);
  void freeze() { check(onager_session_freeze(session)); }
  void exportTo(const std::string &path) const;
  nb::dict stats() const;

private:
  friend struct Lease;
  /// Describes the inputs in the signature's order; `held` keeps their arrays alive. Throws for what is missing, too much or no array.
  std::vector<onager_tensor> readFeeds(nb::dict feeds, std::vector<nb::object> &held, std::vector<std::vector<onager_string>> &texts) const;
  /// Returns the indices of the named outputs, or of all for None.
  std::vector<size_t> findOutputs(nb::handle wanted) const;
  std::vector<uint64_t> getLastBytes();
  void noteBytes(const std::vector<onager_tensor> &outputs);
  onager_context *take() {
    std::lock_guard<std::mutex> guard(lock);
    if (idle.empty()) {
      onager_context *context = nullptr;
      check(onager_context_create(session, &context));
      return context;
    }
    onager_context *context = idle.back();
    idle.pop_back();
    return context;
  }

  onager_session *session = nullptr;
  std::vector<nb::str> names, outputNames;
  std::mutex lock;
  std::vector<onager_context *> idle;
  std::vector<uint64_t> lastBytes; ///< of the outputs of the last run, but texts
  std::shared_ptr<onager::python::OutputMemory> memory = std::make_shared<onager::python::OutputMemory>();
};

/// A context for the length of one run.
struct Lease {
  explicit Lease(Session &session) : session(session), context(session.take()) {}
  ~Lease() {
    std::lock_guard<std::mutex> guard(session.lock);
    session.idle.push_back(context);
  }
  Session &session;
  onager_context *context;
};

/// Returns a view of another library's tensor through DLPack, without a copy; the object itself where it offers none.
nb::object viewTensor(nb::handle value) {
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
nb::object toArray(nb::handle value, const std::string &name) {
  nb::object viewed = viewTensor(value);
  PyObject *array = PyArray_CheckFromAny(viewed.ptr(), nullptr, 0, 0, NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED | NPY_ARRAY_NOTSWAPPED, nullptr);
  if (!array) {
    PyErr_Clear();
    throw nb::type_error(("input '" + name + "': expected an array").c_str());
  }
  return nb::steal(array);
}

/// Views of the texts of an array of str or bytes objects, or of NumPy's fixed-width strings, which are converted first; `held` keeps them alive.
std::vector<onager_string> readTexts(PyArrayObject *&array, nb::object &held, const std::string &name) {
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

/// An array of str objects; bytes that are no UTF-8 are escaped as Python's file names are.
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
nb::object makeArray(PyArray_Descr *descriptor, int rank, const int64_t *dims, void *data = nullptr, nb::object owner = {}) {
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
nb::object makeArray(const onager_tensor &tensor, onager::python::OutputMemory &memory) {
  PyArray_Descr *descriptor = tensor.dtype > 0 && tensor.dtype < kTypes ? descriptors[tensor.dtype] : nullptr;
  uint64_t bytes = countBytes(tensor);
  if (bytes < onager::python::OutputMemory::kLeastBytes)
    return makeArray(descriptor, tensor.rank, tensor.dims);
  auto [data, owner] = memory.take(bytes);
  return makeArray(descriptor, tensor.rank, tensor.dims, data, std::move(owner));
}

std::vector<onager_tensor> Session::readFeeds(nb::dict feeds, std::vector<nb::object> &held, std::vector<std::vector<onager_string>> &texts) const {
  std::vector<onager_tensor> inputs;
  held.reserve(names.size());
  for (const nb::str &name : names) {
    PyObject *value = PyDict_GetItemWithError(feeds.ptr(), name.ptr());
    if (!value)
      throw nb::value_error((std::string("input '") + name.c_str() + "' is missing").c_str());
    held.push_back(toArray(value, name.c_str()));
    auto *array = reinterpret_cast<PyArrayObject *>(held.back().ptr());
    if (PyTypeNum_ISSTRING(PyArray_TYPE(array)) || PyArray_TYPE(array) == NPY_OBJECT) {
      texts.push_back(readTexts(array, held.back(), name.c_str()));
      inputs.push_back({sizeof(onager_tensor), ONAGER_STRING, PyArray_NDIM(array), 0, texts.back().data(), reinterpret_cast<const int64_t *>(PyArray_DIMS(array)),
                        texts.back().size() * sizeof(onager_string)});
      continue;
    }
    inputs.push_back({sizeof(onager_tensor), findType(PyArray_DESCR(array)), PyArray_NDIM(array), 0, PyArray_DATA(array),
                      reinterpret_cast<const int64_t *>(PyArray_DIMS(array)), static_cast<uint64_t>(PyArray_NBYTES(array))});
  }
  if (feeds.size() > names.size())
    for (auto [key, value] : feeds)
      if (std::none_of(names.begin(), names.end(), [&](const nb::str &name) { return name.equal(key); }))
        throw nb::value_error((std::string("'") + nb::str(key).c_str() + "' is not an input").c_str());
  return inputs;
}

std::vector<size_t> Session::findOutputs(nb::handle wanted) const {
  std::vector<size_t> order;
  if (wanted.is_none()) {
    order.resize(outputNames.size());
    std::iota(order.begin(), order.end(), size_t(0));
    return order;
  }
  for (nb::handle name : wanted) {
    auto found = std::find_if(outputNames.begin(), outputNames.end(), [&](const nb::str &known) { return known.equal(name); });
    if (found == outputNames.end())
      throw nb::value_error((std::string("'") + nb::str(name).c_str() + "' is not an output").c_str());
    order.push_back(static_cast<size_t>(found - outputNames.begin()));
  }
  return order;
}

/// Outputs smaller than this are copied from the context's memory.
constexpr uint64_t kLeastOffer = 1 << 16;

/// Lets outputs go into arrays of Python's: of their shapes where those are known before the run, else of as many bytes as they had in the last one.
std::vector<nb::object> makeOutputs(std::vector<onager_tensor> &outputs, const std::vector<uint64_t> &lastBytes, onager::python::OutputMemory &memory) {
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

/// Copies an output whose shape depended on values out of the context's memory.
nb::object copyOutput(const onager_tensor &output, onager::python::OutputMemory &memory) {
  nb::object result = makeArray(output, memory);
  auto *array = reinterpret_cast<PyArrayObject *>(result.ptr());
  if (PyArray_NBYTES(array))
    std::memcpy(PyArray_DATA(array), output.data, static_cast<size_t>(PyArray_NBYTES(array)));
  return result;
}

/// Makes an array of an output that was offered memory. One that is much smaller than its memory would keep too much of it: it is copied.
nb::object takeOffer(const onager_tensor &output, const nb::object &offer, onager::python::OutputMemory &memory) {
  auto *bytes = reinterpret_cast<PyArrayObject *>(offer.ptr());
  bool fits = output.data == PyArray_DATA(bytes) && countBytes(output) >= static_cast<uint64_t>(PyArray_NBYTES(bytes)) / 2;
  return fits ? makeArray(descriptors[output.dtype], output.rank, output.dims, output.data, offer) : copyOutput(output, memory);
}

std::vector<uint64_t> Session::getLastBytes() {
  std::lock_guard<std::mutex> guard(lock);
  lastBytes.resize(outputNames.size());
  return lastBytes;
}

void Session::noteBytes(const std::vector<onager_tensor> &outputs) {
  std::lock_guard<std::mutex> guard(lock);
  for (size_t k = 0; k < outputs.size(); ++k)
    if (outputs[k].dtype != ONAGER_STRING)
      lastBytes[k] = countBytes(outputs[k]);
  memory->keep(std::accumulate(lastBytes.begin(), lastBytes.end(), uint64_t(0)));
}

nb::list Session::run(nb::handle wanted, nb::dict feeds) {
  std::vector<nb::object> held;
  std::vector<std::vector<onager_string>> texts;
  std::vector<onager_tensor> inputs = readFeeds(feeds, held, texts);
  std::vector<size_t> order = findOutputs(wanted);
  Lease lease(*this);
  std::vector<onager_tensor> outputs(outputNames.size(), onager_tensor{sizeof(onager_tensor), 0, 0, 0, nullptr, nullptr, 0});
  check(onager_context_prepare(lease.context, inputs.data(), inputs.size(), outputs.data(), outputs.size()));
  std::vector<nb::object> arrays = makeOutputs(outputs, getLastBytes(), *memory);
  onager_status status;
  {
    nb::gil_scoped_release release;
    status = onager_context_run(lease.context, inputs.data(), inputs.size(), outputs.data(), outputs.size());
  }
  check(status);
  noteBytes(outputs);
  nb::list result;
  for (size_t k : order) {
    if (outputs[k].is_offer)
      arrays[k] = takeOffer(outputs[k], arrays[k], *memory);
    if (!arrays[k].is_valid())
      arrays[k] = outputs[k].dtype == ONAGER_STRING ? makeTexts(outputs[k]) : copyOutput(outputs[k], *memory);
    result.append(arrays[k]);
  }
  return result;
}

void Session::warmUp(nb::dict feeds, bool wait) {
  std::vector<nb::object> held;
  std::vector<std::vector<onager_string>> texts;
  std::vector<onager_tensor> inputs = readFeeds(feeds, held, texts);
  onager_status status;
  {
    nb::gil_scoped_release release;
    status = onager_session_warm_up(session, inputs.data(), inputs.size(), wait);
  }
  check(status);
}

void Session::exportTo(const std::string &path) const {
  onager_status status;
  {
    nb::gil_scoped_release release;
    status = onager_session_export(session, path.c_str());
  }
  check(status);
}

nb::dict Session::stats() const {
  onager_stats stats{};
  stats.size = sizeof stats;
  check(onager_session_stats(session, &stats));
  nb::dict result;
  result["mode"] = modes[stats.mode];
  const std::pair<const char *, uint64_t> counts[] = {{"hits", stats.hits}, {"misses", stats.misses}, {"compiled", stats.compiled}, {"loaded", stats.loaded}, {"failed", stats.failed},
                                                      {"evicted", stats.evicted}, {"variants", stats.variants}, {"variant_bytes", stats.variant_bytes}};
  for (const auto &[name, count] : counts)
    result[name] = count;
  result["compile_seconds"] = stats.compile_seconds;
  return result;
}

void *importNumpy() {
  import_array();
  return nullptr;
}

} // namespace

NB_MODULE(_runtime, m) {
  importNumpy();
  if (PyErr_Occurred())
    throw nb::python_error();
  m.def("set_type", &setType, nb::arg("number"), nb::arg("dtype"));
  m.def("version", &onager_version);
  addOperators(m);
  nb::class_<Session>(m, "Session")
      .def(nb::init<const std::string &, nb::bytes, int, const std::string &, const std::optional<std::string> &>(), nb::arg("path"), nb::arg("data"), nb::arg("threads"), nb::arg("recompile") = "", nb::arg("compiler_library") = nb::none())
      .def("describe", &Session::describe, nb::arg("inputs"))
      .def("run", &Session::run, nb::arg("names").none(), nb::arg("feeds"))
      .def("warm_up", &Session::warmUp, nb::arg("feeds"), nb::arg("wait"))
      .def("freeze", &Session::freeze)
      .def("export", &Session::exportTo, nb::arg("path"))
      .def("stats", &Session::stats)
      .def_prop_ro("threads", &Session::threads);
}
