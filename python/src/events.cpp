// Calling into Python from threads that it does not know, and not while it ends.
#include "python/src/events.h"
#include <atomic>
#include <chrono>
#include <pthread.h>
#include <thread>

namespace nb = nanobind;

namespace onager::python {

static std::atomic<int> active{0};
static std::atomic<bool> isOver{false};
static thread_local int depth = 0;

namespace {

/// The right to call into Python, for the length of a call.
struct Call {
  Call() : isAllowed((++active, !isOver.load())) { ++depth; }
  Call(const Call &) = delete;
  ~Call() {
    --depth;
    --active;
  }
  const bool isAllowed;
};

} // namespace

bool EventListener::isTelling() { return depth > 0; }

void EventListener::tell(void *self, const onager_event *event) {
  static const char *const kinds[] = {"", "compiled", "loaded", "failed", "evicted"};
  Call call;
  if (!call.isAllowed)
    return;
  nb::gil_scoped_acquire gil;
  auto &listener = *static_cast<EventListener *>(self);
  try {
    nb::object callable = listener.callable;
    if (callable.is_valid())
      callable(kinds[event->kind], event->guard, event->message, event->seconds);
  } catch (nb::python_error &error) {
    error.discard_as_unraisable("a function that is told of variants");
  } catch (const std::exception &) { // no memory, or text that is no UTF-8: nobody is there to be told
  }
}

void EventListener::dispose(EventListener *listener) {
  Call call;
  if (!call.isAllowed)
    return;
  nb::gil_scoped_acquire gil;
  delete listener;
}

/// Waits for calls in progress, which need the GIL.
static void endEvents() {
  isOver.store(true);
  nb::gil_scoped_release release;
  while (active.load())
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

void addEvents() {
  // Calls of other threads do not go on in a forked child.
  pthread_atfork(nullptr, nullptr, [] { active.store(depth); });
  nb::module_::import_("atexit").attr("register")(nb::cpp_function(&endEvents));
}

} // namespace onager::python
