// Pruning as it is asked for, decided and told of. The part of a recipe:
//
//   "pruning": {"refit": true | false,
//               "groups": [{"weights": NAME, "axis": N, "what": "channels" | "heads", "units": COUNT, "removed": [NUMBER, ...]}, ...],
//               "masks": [{"node": NAME, "pattern": "N:M" | SHARE, "method": "magnitude" | "wanda" | "sparsegpt"}, ...],
//               "rotation": "shared" | "each", "streams": [{"value": NAME, "width": N, "kept": N}, ...]}
//
// A group is named by the first weights that make its channels, and the axis of these weights; a residual stream by the first value of it that a norm reads. Streams come before groups and masks. Without a stream both parts may
// be missing; the basis of one is found in the data again.
#ifndef ONAGER_LIB_COMPRESS_PRUNE_PRUNING_H
#define ONAGER_LIB_COMPRESS_PRUNE_PRUNING_H

#include "lib/Compress/Prune/Groups.h"
#include "lib/Compress/Prune/Mask.h"
#include "lib/Compress/Prune/Remove.h"
#include "lib/Compress/Slice/Slicing.h"
#include "llvm/Support/JSON.h"

namespace onager::compress {

enum class PruneCriterion {
  magnitude,  ///< squares of all weights of a unit, by the mean of each constant
  activation, ///< what reads the unit: squares of its weights times the mean square of what it reads
  loss        ///< the same, times what the outputs lose when half of the group goes
};

struct PruneRequest {
  std::optional<double> channels, heads, operations; ///< shares that go
  std::optional<double> hidden;                      ///< the share of the residual streams' widths that goes; 0 rotates alone
  bool isGlobal = false;                             ///< channels and heads of all groups are compared
  PruneCriterion criterion = PruneCriterion::magnitude;
  double floor = 0.125;                              ///< of each axis this share stays
  std::set<std::string> kept;                        ///< nodes whose weights keep all their channels, those that they read too; by their first output where they have no name
};

/// What becomes of a group.
struct PrunedGroup {
  std::string weights;
  size_t axis = 0;
  bool isHeads = false;
  int64_t units = 0;
  std::vector<int64_t> removed;        ///< numbers of units
  double keptScore = 0, removedScore = 0; ///< means, with 1 as the mean of the group; 0 where a recipe decided
  double sensitivity = 1;              ///< of the criterion loss
  double operationsBefore = 0, operationsAfter = 0;
  uint64_t bytesBefore = 0, bytesAfter = 0;
};

/// How near a refitted layer comes to what it gave before, as squared errors over squares.
struct RefitError {
  std::string node, form; ///< form: weights, or scales of channels where the weights are too many
  double before = 0, after = 0;
};

/// A residual stream that was written in the basis of its principal components.
struct SlicedStream {
  std::string value;
  int64_t width = 0, kept = 0;
  std::vector<std::pair<std::string, double>> energies; ///< by the values that norms read: the share of what they give that stays
};

struct Pruning {
  std::vector<SlicedStream> streams;
  std::vector<std::string> obstacles; ///< why other streams keep their width
  bool hasOwnBases = false; ///< of each norm; otherwise of each stream
  std::vector<PrunedGroup> groups;
  std::vector<MaskedLayer> masks;
  std::vector<RefitError> refits;
  std::vector<Slice> slices;
  std::map<std::string, TurnedLayer> turned; ///< by the outputs of layers that read or write streams
  bool isRefitted = false;
  double operationsBefore = 0, operationsAfter = 0;
  bool isAny() const { return !groups.empty() || !masks.empty() || !streams.empty(); }
};

/// The scores of each group's units.
using UnitScores = std::vector<std::vector<double>>;
UnitScores scoreByMagnitude(const PruneSpace &space);
/// `moments` are the mean squares of what consumers read, by the value, for each position.
UnitScores scoreByActivation(const PruneSpace &space, const std::map<std::string, std::vector<double>> &moments);

/// What an axis of this extent keeps a multiple of, since kernels work on vectors of columns: 16 of 256 or more, 8 of 32 or more, else 1.
int64_t getKeptMultiple(int64_t extent);

/// Chooses units: those with the smallest scores within a group, in steps that leave multiples of 8 from 32 positions on, of 16 from 256 on; among groups those that cost least for the operations that go with them: their share of what is left
/// of the group's score, times the number of constants that the group has a part in. `sensitivities` are factors of the groups' scores. False and a reason where so much cannot go.
bool chooseUnits(const PruneSpace &space, const PruneRequest &request, const UnitScores &scores, const std::vector<double> &sensitivities, PruneChoice &choice, std::string &error);

/// Lists what was chosen.
std::vector<PrunedGroup> describeChoice(const PruneSpace &space, const PruneChoice &choice, const UnitScores &scores, const std::vector<double> &sensitivities);
/// Removes what a recipe lists. False and a reason where the model has no such group or unit, or too little would be left.
bool repeatChoice(const PruneSpace &space, const std::vector<PrunedGroup> &groups, PruneChoice &choice, std::string &error);

llvm::json::Value printPruning(const Pruning &pruning);
/// Reads the part of a recipe; a recipe without it prunes nothing.
bool readPruning(const std::string &text, Pruning &pruning, std::string &error);

} // namespace onager::compress

#endif
