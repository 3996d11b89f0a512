// onager._runtime: sessions for Python, over the runtime's C API. NumPy arrays go in and out without copies where they are dense.
#define ONAGER_IMPORTS_NUMPY
#include "python/src/arrays.h"
#include "python/src/events.h"
#include "python/src/operators.h"
#include <algorithm>
#include <mutex>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>
#include <numeric>
#include <thread>

namespace nb = nanobind;
using namespace onager::python;

namespace {

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

using Text = std::optional<std::string>;

const char *toC(const Text &text) { return text ? text->c_str() : nullptr; }

class Session {
public:
  Session(const std::string &path, nb::bytes data, int threads, const std::string &recompile, const Text &library, bool isChecked, int maxVariants, uint64_t maxBytes, double maxSeconds,
          const Text &compiler, const Text &cache, nb::object event) {
    onager_recompilation recompilation{};
    recompilation.size = sizeof recompilation;
    recompilation.mode = findMode(recompile);
    recompilation.max_variants = maxVariants;
    recompilation.check = isChecked;
    recompilation.max_bytes = maxBytes;
    recompilation.max_seconds = maxSeconds;
    recompilation.compiler = toC(compiler);
    recompilation.cache = toC(cache);
    recompilation.library = toC(library);
    if (!event.is_none()) {
      listener = std::make_unique<EventListener>(std::move(event));
      recompilation.event = EventListener::tell;
      recompilation.event_user = listener.get();
    }
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
    onager_context_destroy(pinned);
    close();
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
  void warmUp(nb::dict feeds, nb::dict shapes, bool wait);
  void freeze() { check(onager_session_freeze(session)); }
  void pin(bool on);
  void exportTo(const std::string &path) const;
  nb::dict stats() const;
  /// The callable that is told of variants, for the collector of cycles; null where there is none.
  nb::object *callable() { return listener ? &listener->callable : nullptr; }

private:
  friend struct Lease;
  void close();
  /// Describes the inputs in the signature's order; `held` keeps their arrays alive. Throws for what is missing, too much or no array.
  std::vector<onager_tensor> readFeeds(nb::dict feeds, std::vector<nb::object> &held, std::vector<std::vector<onager_string>> &texts) const;
  /// Throws where a key is no input.
  void refuseStrangers(nb::dict given) const;
  /// Describes an input without data; `dims` holds its shape: the one that is told, or the model's where all of its dims are fixed.
  onager_tensor readShape(size_t index, nb::dict shapes, std::vector<int64_t> &dims) const;
  /// Returns the indices of the named outputs, or of all for None.
  std::vector<size_t> findOutputs(nb::handle wanted) const;
  std::vector<uint64_t> getLastBytes();
  void noteBytes(const std::vector<onager_tensor> &outputs);
  onager_context *take() {
    std::lock_guard<std::mutex> guard(lock);
    if (idle.empty())
      return make();
    onager_context *context = idle.back();
    idle.pop_back();
    return context;
  }
  /// Makes a context that is pinned where the others are. REQUIRES: `lock` is held.
  onager_context *make() const {
    onager_context *context = nullptr;
    check(onager_context_create(session, &context));
    if (pinned)
      onager_context_pin_like(context, pinned);
    return context;
  }

  onager_session *session = nullptr;
  std::vector<nb::str> names, outputNames;
  std::unique_ptr<EventListener> listener;
  std::mutex lock;
  std::vector<onager_context *> idle;
  onager_context *pinned = nullptr; ///< keeps the variants that all contexts keep to; null: none are kept
  uint64_t turns = 0;               ///< calls of `pin`
  std::vector<uint64_t> lastBytes; ///< of the outputs of the last run, but texts
  std::shared_ptr<OutputMemory> memory = std::make_shared<OutputMemory>();
};

/// A context for the length of one run.
struct Lease {
  explicit Lease(Session &session) : session(session), turn(session.turns), context(session.take()) {}
  ~Lease() {
    std::lock_guard<std::mutex> guard(session.lock);
    if (turn == session.turns)
      session.idle.push_back(context);
    else
      onager_context_destroy(context); // it keeps to other variants than the session does by now
  }
  Session &session;
  uint64_t turn; ///< of the session's pins, when the context was taken: the GIL is held until then
  onager_context *context;
};

void Session::refuseStrangers(nb::dict given) const {
  for (auto [key, value] : given)
    if (std::none_of(names.begin(), names.end(), [&](const nb::str &name) { return name.equal(key); }))
      throw nb::value_error((std::string("'") + nb::str(key).c_str() + "' is not an input").c_str());
}

std::vector<onager_tensor> Session::readFeeds(nb::dict feeds, std::vector<nb::object> &held, std::vector<std::vector<onager_string>> &texts) const {
  std::vector<onager_tensor> inputs;
  held.reserve(names.size());
  for (const nb::str &name : names) {
    PyObject *value = PyDict_GetItemWithError(feeds.ptr(), name.ptr());
    if (!value)
      throw nb::value_error((std::string("input '") + name.c_str() + "' is missing").c_str());
    inputs.push_back(readFeed(name, value, held, texts));
  }
  if (feeds.size() > names.size())
    refuseStrangers(feeds);
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

onager_tensor Session::readShape(size_t index, nb::dict shapes, std::vector<int64_t> &dims) const {
  onager_info described = info(true, index);
  if (PyObject *shape = PyDict_GetItemWithError(shapes.ptr(), names[index].ptr()))
    dims = nb::cast<std::vector<int64_t>>(nb::handle(shape));
  else if (std::all_of(described.dims, described.dims + described.rank, [](int64_t extent) { return extent >= 0; }))
    dims.assign(described.dims, described.dims + described.rank);
  else
    throw nb::value_error((std::string("input '") + names[index].c_str() + "' has neither a feed nor a shape").c_str());
  return {sizeof(onager_tensor), described.dtype, static_cast<int32_t>(dims.size()), 0, nullptr, dims.data(), 0};
}

void Session::warmUp(nb::dict feeds, nb::dict shapes, bool wait) {
  if (wait && EventListener::isTelling())
    throw nb::value_error("a function that is told of variants cannot wait for one");
  std::vector<nb::object> held;
  std::vector<std::vector<onager_string>> texts;
  std::vector<std::vector<int64_t>> dims(names.size());
  std::vector<onager_tensor> inputs;
  for (size_t k = 0; k < names.size(); ++k)
    if (PyObject *value = PyDict_GetItemWithError(feeds.ptr(), names[k].ptr()))
      inputs.push_back(readFeed(names[k], value, held, texts));
    else
      inputs.push_back(readShape(k, shapes, dims[k]));
  refuseStrangers(feeds);
  refuseStrangers(shapes);
  onager_status status;
  {
    nb::gil_scoped_release release;
    status = onager_session_warm_up(session, inputs.data(), inputs.size(), wait);
  }
  check(status);
}

void Session::pin(bool on) {
  std::lock_guard<std::mutex> guard(lock);
  onager_context *next = nullptr;
  if (on) {
    check(onager_context_create(session, &next));
    onager_context_pin(next, 1);
  }
  onager_context_destroy(pinned);
  pinned = next;
  ++turns;
  for (onager_context *context : idle)
    pinned ? onager_context_pin_like(context, pinned) : onager_context_pin(context, 0);
}

void Session::close() {
  if (listener && EventListener::isTelling()) {
    // Perhaps by the thread that closing waits for.
    std::thread([session = session, listener = listener.release()] {
      onager_session_close(session);
      EventListener::dispose(listener);
    }).detach();
    return;
  }
  // The listener, which may be told of something yet, needs the GIL.
  nb::gil_scoped_release release;
  onager_session_close(session);
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

/// A callable that is told of variants may refer to its session: such cycles are collected.
int traverse(PyObject *self, visitproc visit, void *arg) {
  Py_VISIT(Py_TYPE(self));
  if (nb::inst_ready(self))
    if (nb::object *callable = nb::inst_ptr<Session>(self)->callable())
      Py_VISIT(callable->ptr());
  return 0;
}

int clear(PyObject *self) {
  if (nb::object *callable = nb::inst_ptr<Session>(self)->callable())
    nb::object dropped = std::move(*callable);
  return 0;
}

PyType_Slot sessionSlots[] = {{Py_tp_traverse, reinterpret_cast<void *>(&traverse)}, {Py_tp_clear, reinterpret_cast<void *>(&clear)}, {0, nullptr}};

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
  addEvents();
  nb::class_<Session>(m, "Session", nb::type_slots(sessionSlots))
      .def(nb::init<const std::string &, nb::bytes, int, const std::string &, const Text &, bool, int, uint64_t, double, const Text &, const Text &, nb::object>(), nb::arg("path"),
           nb::arg("data"), nb::arg("threads"), nb::arg("recompile") = "", nb::arg("compiler_library") = nb::none(), nb::arg("check") = false, nb::arg("max_variants") = 0,
           nb::arg("max_bytes") = 0, nb::arg("max_seconds") = 0.0, nb::arg("compiler") = nb::none(), nb::arg("cache") = nb::none(), nb::arg("event") = nb::none())
      .def("describe", &Session::describe, nb::arg("inputs"))
      .def("run", &Session::run, nb::arg("names").none(), nb::arg("feeds"))
      .def("warm_up", &Session::warmUp, nb::arg("feeds"), nb::arg("shapes"), nb::arg("wait"))
      .def("freeze", &Session::freeze)
      .def("pin", &Session::pin, nb::arg("on"))
      .def("export", &Session::exportTo, nb::arg("path"))
      .def("stats", &Session::stats)
      .def_prop_ro("threads", &Session::threads);
}
