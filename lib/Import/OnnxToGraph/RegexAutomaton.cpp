// From the tree of a regular expression to a deterministic automaton over bytes.
//
// First a nondeterministic one whose edges take a range of bytes, nothing, or nothing under a condition on the characters around (^, $, \b). Then the
// subset construction: a state is a set of its states together with what kind of character came before, so that a condition is decided
// when the next byte is known. Source: K. Thompson, Regular expression search algorithm, 1968; R. Cox, Regular expression matching in the wild, 2010.
#include "lib/Import/OnnxToGraph/Regex.h"
#include "runtime/core/utf8.h"
#include <algorithm>
#include <unordered_map>

namespace onager::frontend {
namespace {

constexpr size_t kMostStates = 10000;
/// Steps that one state or edge counts for while there are no subsets yet.
constexpr size_t kPartSteps = 50;
/// What putting a state in its order counts for, in steps.
constexpr size_t kSortSteps = 8;

/// What stands on a side of a place in a text.
enum Side { border, word, other };

struct Edge {
  enum Kind { bytes, always, condition } kind;
  uint8_t low = 0, high = 0;
  RegexNode::Kind asserts = RegexNode::empty;
  int target = 0;
};

class Network {
public:
  explicit Network(size_t mostParts) : mostParts(mostParts) {}

  std::vector<std::vector<Edge>> edges;
  size_t edgeCount = 0;
  bool hasConditions = false;

  int addState() {
    edges.emplace_back();
    return static_cast<int>(edges.size()) - 1;
  }
  void connect(int from, Edge edge) {
    edges[static_cast<size_t>(from)].push_back(edge);
    ++edgeCount;
  }
  void link(int from, int to) { connect(from, {Edge::always, 0, 0, RegexNode::empty, to}); }
  bool isTooLarge() const { return edges.size() + edgeCount > mostParts; }

  /// Adds a tree behind a state and returns the state behind the tree.
  int add(const RegexNode &node, int from) {
    if (isTooLarge())
      return from;
    switch (node.kind) {
    case RegexNode::empty: return from;
    case RegexNode::characters: return addCharacters(node, from);
    case RegexNode::sequence:
      for (const RegexNode &part : node.parts)
        from = add(part, from);
      return from;
    case RegexNode::choice: {
      int end = addState();
      for (const RegexNode &part : node.parts) {
        int start = addState();
        link(from, start);
        link(add(part, start), end);
      }
      return end;
    }
    case RegexNode::repeat: return addRepeat(node, from);
    default: {
      int end = addState();
      connect(from, {Edge::condition, 0, 0, node.kind, end});
      hasConditions = true;
      return end;
    }
    }
  }

private:
  size_t mostParts;

  int addRepeat(const RegexNode &node, int from) {
    for (int k = 0; k < node.least && !isTooLarge(); ++k)
      from = add(node.parts[0], from);
    int end = addState();
    if (node.most < 0) {
      int start = addState();
      link(from, start);
      link(start, end);
      link(add(node.parts[0], start), start);
      return end;
    }
    link(from, end);
    for (int k = node.least; k < node.most && !isTooLarge(); ++k) {
      int start = addState();
      link(from, start);
      from = add(node.parts[0], start);
      link(from, end);
    }
    return end;
  }

  int addCharacters(const RegexNode &node, int from) {
    int end = addState();
    for (auto [low, high] : node.ranges)
      addRange(low, high, from, end);
    return end;
  }

  /// Splits a range of characters until all of a part have the same length and each byte but for the last run of bytes is fixed or free.
  void addRange(uint32_t low, uint32_t high, int from, int to) {
    static const uint32_t lengths[] = {0x7f, 0x7ff, 0xffff, 0x10ffff};
    for (uint32_t last : lengths)
      if (low <= last && high > last) {
        addRange(low, last, from, to);
        return addRange(last + 1, high, from, to);
      }
    std::string first, end;
    rt::appendCharacter(first, low);
    rt::appendCharacter(end, high);
    for (unsigned k = 1; k < first.size(); ++k) {
      uint32_t mask = (1u << (6 * k)) - 1;
      if ((low & ~mask) == (high & ~mask))
        continue;
      if (low & mask) {
        addRange(low, low | mask, from, to);
        return addRange((low | mask) + 1, high, from, to);
      }
      if ((high & mask) != mask) {
        addRange(low, (high & ~mask) - 1, from, to);
        return addRange(high & ~mask, high, from, to);
      }
    }
    for (size_t k = 0; k < first.size(); ++k) {
      int next = k + 1 < first.size() ? addState() : to;
      connect(from, {Edge::bytes, static_cast<uint8_t>(first[k]), static_cast<uint8_t>(end[k]), RegexNode::empty, next});
      from = next;
    }
  }
};

bool holds(RegexNode::Kind condition, Side before, Side behind) {
  switch (condition) {
  case RegexNode::lineStart: return before == border;
  case RegexNode::lineEnd: return behind == border;
  default: return (condition == RegexNode::wordBoundary) == ((before == word) != (behind == word));
  }
}

Side getSide(int byte) { return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') || byte == '_' ? word : other; }

using States = std::vector<int>;

/// A set of states that is filled many times.
class Collector {
public:
  explicit Collector(size_t count) : marks(count, 0) {}
  void clear() {
    ++round;
    found.clear();
  }
  void insert(int state) {
    uint32_t &mark = marks[static_cast<size_t>(state)];
    if (mark != round)
      found.push_back(state);
    mark = round;
  }
  States sorted() const {
    States result = found;
    std::sort(result.begin(), result.end());
    return result;
  }
  States found; ///< in the order in which they came

private:
  std::vector<uint32_t> marks; ///< the round in which each state was found last
  uint32_t round = 0;
};

/// Bytes that no edge and no condition tells apart share a class; returns a byte of each.
std::vector<int> classify(const Network &network, Automaton &automaton) {
  std::array<bool, 257> starts{};
  starts[0] = true;
  for (int byte = 1; byte < 256; ++byte)
    starts[static_cast<size_t>(byte)] = getSide(byte) != getSide(byte - 1);
  for (const auto &edges : network.edges)
    for (const Edge &edge : edges)
      if (edge.kind == Edge::bytes)
        starts[edge.low] = starts[edge.high + 1u] = true;
  std::vector<int> examples;
  for (int byte = 0; byte < 256; ++byte) {
    if (starts[static_cast<size_t>(byte)])
      examples.push_back(byte);
    automaton.classes[static_cast<size_t>(byte)] = static_cast<int32_t>(examples.size()) - 1;
  }
  automaton.width = static_cast<int32_t>(examples.size());
  return examples;
}

/// The subset construction, from the borders of texts or from all places.
class Builder {
public:
  Builder(Automaton &automaton, bool isSearched, size_t mostSteps) : automaton(automaton), isSearched(isSearched), mostSteps(mostSteps), network(mostSteps / kPartSteps) {}

  bool build(const RegexNode &root, std::string &error) {
    int first = network.addState();
    last = network.add(root, first);
    if (network.isTooLarge()) {
      error = "the expression is too large";
      return false;
    }
    examples = classify(network, automaton);
    reached = Collector(network.edges.size());
    const Side sides[] = {border, word, other};
    for (size_t k = 0; k < (isSearched ? 3 : 1); ++k)
      automaton.starts[k] = number({States{first}, sides[k]});
    for (size_t k = 0; k < subsets.size(); ++k) {
      addRow(k);
      if (subsets.size() > kMostStates || steps > mostSteps) {
        error = subsets.size() > kMostStates ? "the expression needs more than 10,000 states" : "the expression is too large";
        return false;
      }
    }
    return true;
  }

private:
  using Subset = std::pair<States, Side>;
  struct Hash {
    size_t operator()(const Subset &subset) const {
      size_t hash = subset.second;
      for (int state : subset.first)
        hash = (hash ^ static_cast<size_t>(state)) * 0x100000001b3u; // FNV-1a, by states
      return hash;
    }
  };

  int32_t number(const Subset &subset) {
    auto [it, isNew] = numbers.try_emplace(subset, static_cast<int32_t>(subsets.size()));
    if (isNew)
      subsets.push_back(subset);
    return it->second;
  }

  /// All states that are reached without a byte, where the characters around are as given.
  States close(const States &from, Side before, Side behind) {
    reached.clear();
    for (int state : from)
      reached.insert(state);
    for (size_t k = 0; k < reached.found.size(); ++k) {
      const std::vector<Edge> &edges = network.edges[static_cast<size_t>(reached.found[k])];
      steps += 1 + edges.size();
      for (const Edge &edge : edges)
        if (edge.kind == Edge::always || (edge.kind == Edge::condition && holds(edge.asserts, before, behind)))
          reached.insert(edge.target);
    }
    steps += kSortSteps * reached.found.size();
    return reached.sorted();
  }

  /// Adds what follows a subset.
  void addRow(size_t index) {
    auto [states, before] = subsets[index];
    States closed[3];
    for (Side behind : {border, word, other})
      closed[behind] = behind == border || network.hasConditions ? close(states, before, behind) : closed[border];
    for (size_t k = 0; k < (isSearched ? 3 : 1); ++k)
      automaton.accepting.push_back(std::binary_search(closed[k].begin(), closed[k].end(), last));
    std::vector<States> next = step(closed[word], closed[other]);
    for (size_t c = 0; c < examples.size(); ++c) {
      steps += kSortSteps * next[c].size();
      std::sort(next[c].begin(), next[c].end());
      next[c].erase(std::unique(next[c].begin(), next[c].end()), next[c].end());
      automaton.table.push_back(next[c].empty() ? -1 : number({next[c], getSide(examples[c])}));
    }
  }

  /// What each class of bytes leads to, from the states before a word's character and before another; what is left where that takes too many steps is empty.
  std::vector<States> step(const States &beforeWord, const States &beforeOther) {
    std::vector<States> next(examples.size());
    for (Side side : {word, other})
      for (int state : side == word ? beforeWord : beforeOther)
        for (const Edge &edge : network.edges[static_cast<size_t>(state)]) {
          if (++steps > mostSteps)
            return next;
          if (edge.kind != Edge::bytes)
            continue;
          // A range of bytes is a range of classes.
          auto first = static_cast<size_t>(automaton.classes[edge.low]), end = static_cast<size_t>(automaton.classes[edge.high]) + 1;
          steps += end - first;
          for (size_t c = first; c < end; ++c)
            if (getSide(examples[c]) == side)
              next[c].push_back(edge.target);
        }
    return next;
  }

  Automaton &automaton;
  bool isSearched;
  size_t mostSteps;
  Network network;
  Collector reached{0};
  int last = 0;
  std::vector<int> examples;
  std::unordered_map<Subset, int32_t, Hash> numbers;
  std::vector<Subset> subsets;
  size_t steps = 0;
};

} // namespace

bool compileRegex(const RegexNode &root, Automaton &automaton, std::string &error, size_t mostSteps) {
  return Builder(automaton, /*isSearched=*/false, mostSteps).build(root, error);
}

bool compileSearch(const RegexNode &root, Automaton &automaton, std::string &error, size_t mostSteps) {
  return Builder(automaton, /*isSearched=*/true, mostSteps).build(root, error);
}

} // namespace onager::frontend
