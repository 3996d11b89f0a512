// Custom operators for Python.
#ifndef ONAGER_PYTHON_SRC_OPERATORS_H
#define ONAGER_PYTHON_SRC_OPERATORS_H

#include "onager-rt/operators.h"
#include <nanobind/nanobind.h>

/// Adds register_operator, load_operators and operators to a module.
void addOperators(nanobind::module_ &m);

#endif
