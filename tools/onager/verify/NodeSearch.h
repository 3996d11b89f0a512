// Finding the node from which on two forms differ, and the one whose values first are no numbers.
#ifndef ONAGER_TOOLS_VERIFY_NODESEARCH_H
#define ONAGER_TOOLS_VERIFY_NODESEARCH_H

#include "Comparison.h"

namespace onager::cli {

/// Nodes by name; empty where there is none.
struct NodeFinding {
  std::string differing;    ///< the first in program order whose values differ
  bool isFusedOnly = false; ///< it differs only where others are fused around it
  std::string overflowing;  ///< the first whose values hold infinities or NaN
  std::string overflowForm; ///< the form in which they do
  uint64_t overflows = 0, elements = 0;
};

/// Looks for the first node whose values differ.
///
/// 1. All values of both forms are compared in program order. Often the first that differs is found so.
/// 2. A value that is an output is not fused with others. Where nothing differs so, the fault lies in a fusion: values are then exposed one at a time, which
///    leaves all other fusions as they are, and the first that differs is found by bisection.
///
/// `ownOutputs`: how many outputs the model has.
NodeFinding findNode(const Form &found, const Form &expected, const Data &data, const Judge &judge, size_t ownOutputs, int threads);

/// The finding in lines for people.
std::string describeFinding(const NodeFinding &finding);

} // namespace onager::cli

#endif
