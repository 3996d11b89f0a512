// Cores that a compilation leaves to a session, as text: 0-3,7
#ifndef ONAGER_RUNTIME_RECOMPILE_CORELIST_H
#define ONAGER_RUNTIME_RECOMPILE_CORELIST_H

#include <string>

namespace onager::rt {

/// Returns the cores that the calling thread may use.
std::string listCores();

/// Keeps the calling thread off the cores of a list, where it may use others; false for malformed lists.
bool avoidCores(const std::string &list);

} // namespace onager::rt

#endif
