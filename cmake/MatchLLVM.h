// Included before everything else by libraries whose passes count. Our code keeps its assertions, LLVM's libraries were built without: a counter of a
// pass would then be a class with members here and an empty one there, whose constructor leaves the members as they are.
#ifndef ONAGER_CMAKE_MATCHLLVM_H
#define ONAGER_CMAKE_MATCHLLVM_H

#ifndef NDEBUG
#define NDEBUG
#include "llvm/ADT/Statistic.h"
#undef NDEBUG
#endif

#endif
