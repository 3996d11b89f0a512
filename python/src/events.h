// Events of a session's variants for a Python callable. They come on threads of the runtime's own, and while sessions close.
#ifndef ONAGER_PYTHON_EVENTS_H
#define ONAGER_PYTHON_EVENTS_H

#include "onager-rt/api.h"
#include <nanobind/nanobind.h>

namespace onager::python {

/// A callable that is told of events. It must outlive its session; its end needs the GIL.
class EventListener {
public:
  explicit EventListener(nanobind::object callable) : callable(std::move(callable)) {}
  /// Calls the EventListener `self`; the calling thread must not hold the GIL. What the callable raises goes to sys.unraisablehook.
  static void tell(void *self, const onager_event *event);
  /// Ends a listener; the calling thread must not hold the GIL.
  static void dispose(EventListener *listener);
  /// True in a thread that is in a call of `tell`: it may be one that the end of a session waits for.
  static bool isTelling();
  nanobind::object callable;
};

/// Makes the interpreter's end wait for callables that run, after which none is called any more.
void addEvents();

} // namespace onager::python

#endif
