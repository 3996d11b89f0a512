// Operators of the application: registration and calls.
#include "runtime/core/operators.h"
#include <algorithm>
#include <cstring>
#include <dlfcn.h>
#include <memory>
#include <mutex>

namespace onager::rt {

namespace {

/// A registered operator with strings of its own.
struct Entry {
  explicit Entry(const onager_operator &given) : domain(given.domain), type(given.type), op(given) {
    op.size = sizeof op;
    op.since = std::max(given.since, 1);
    op.domain = domain.c_str();
    op.type = type.c_str();
  }
  std::string domain, type;
  onager_operator op;
};

/// Entries are never freed: sessions and callers refer to them.
struct Registry {
  std::mutex lock;
  std::vector<Entry *> live;
  std::vector<Entry *> replaced;
};

/// Never destroyed: threads may still run models while the process ends.
Registry &getRegistry() {
  static Registry &registry = *new Registry;
  return registry;
}

} // namespace

Outcome registerOperator(const onager_operator &given) {
  if (given.size < sizeof(onager_operator) || !given.domain || !given.type || !given.infer || !given.run)
    return failure(ONAGER_BAD_ARGUMENT, "operator: its size field is not set, or it lacks a domain, a type or a function");
  auto *entry = new Entry(given);
  Registry &registry = getRegistry();
  std::lock_guard<std::mutex> guard(registry.lock);
  for (Entry *&known : registry.live)
    if (known->domain == entry->domain && known->type == entry->type && known->op.since == entry->op.since) {
      registry.replaced.push_back(known);
      known = entry;
      return {};
    }
  registry.live.push_back(entry);
  return {};
}

Outcome loadOperators(const char *path) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char *reason = dlerror();
    return failure(ONAGER_BAD_FILE, std::string("cannot load operators: ") + (reason ? reason : path));
  }
  auto get = reinterpret_cast<onager_operators_function>(dlsym(library, "onager_operators"));
  if (!get)
    return failure(ONAGER_BAD_FILE, std::string("'") + path + "' does not export onager_operators");
  const onager_operator *const *operators = get();
  for (size_t k = 0; operators && operators[k]; ++k)
    if (Outcome outcome = registerOperator(*operators[k]); !outcome)
      return failure(outcome.status, std::string("'") + path + "', operator " + std::to_string(k) + ": " + outcome.message);
  return {};
}

const onager_operator *getOperator(size_t index) {
  Registry &registry = getRegistry();
  std::lock_guard<std::mutex> guard(registry.lock);
  return index < registry.live.size() ? &registry.live[index]->op : nullptr;
}

const onager_operator *findOperator(const std::string &domain, const std::string &type, int64_t version) {
  Registry &registry = getRegistry();
  std::lock_guard<std::mutex> guard(registry.lock);
  const onager_operator *found = nullptr;
  for (const Entry *entry : registry.live)
    if (entry->domain == domain && entry->type == type && entry->op.since <= version && (!found || found->since < entry->op.since))
      found = &entry->op;
  return found;
}

OperatorCalls::OperatorCalls(const onager_allocator &allocator, StringTable &strings) : allocator(allocator), strings(strings) {
  call.size = sizeof(onager_call);
  call.allocate = allocate;
  call.fail = fail;
  call.owner = this;
}

void *OperatorCalls::allocate(onager_call *call, size_t bytes) {
  OperatorCalls &calls = *static_cast<Call *>(call)->owner;
  bytes = std::max<size_t>(bytes, 1);
  void *memory = calls.allocator.allocate(calls.allocator.user, bytes, ONAGER_ALIGNMENT);
  if (memory)
    calls.scratch.push_back({memory, bytes});
  return memory;
}

void OperatorCalls::fail(onager_call *call, const char *message) { static_cast<Call *>(call)->owner->text = message ? message : ""; }

void OperatorCalls::releaseAll() {
  for (const Scratch &block : scratch)
    allocator.release(allocator.user, block.memory, block.bytes, ONAGER_ALIGNMENT);
  scratch.clear();
}

static uint64_t countElements(const onager_view &view) {
  uint64_t count = 1;
  for (int32_t d = 0; d < view.rank; ++d)
    count *= static_cast<uint64_t>(view.dims[d]);
  return count;
}

static onager_tensor describeTensor(const onager_view &view, int64_t dtype) {
  return {sizeof(onager_tensor), static_cast<int32_t>(dtype), view.rank, 0, view.data, view.dims, countElements(view) * onager_dtype_bytes(static_cast<int32_t>(dtype))};
}

/// Texts are copied: the table moves them when the outputs' texts enter it.
bool OperatorCalls::copyTexts(const onager_view &view, onager_tensor &tensor) {
  uint64_t count = countElements(view);
  auto *elements = static_cast<onager_string *>(allocate(&call, count * sizeof(onager_string)));
  tensor.data = elements;
  for (uint64_t n = 0; elements && n < count; ++n) {
    const char *data = nullptr;
    uint64_t bytes = 0;
    if (!strings.find(static_cast<const int64_t *>(view.data)[n], data, bytes))
      return false;
    auto *copy = static_cast<char *>(allocate(&call, bytes + 1));
    if (!copy)
      return false;
    std::memcpy(copy, data, bytes);
    copy[bytes] = 0;
    elements[n] = {copy, bytes};
  }
  return elements != nullptr;
}

bool OperatorCalls::begin(const OperatorNode &node, const onager_view *in) {
  text.clear();
  inputs.clear();
  for (int64_t dtype : node.info.inputs) {
    inputs.push_back(dtype ? describeTensor(*in, dtype) : onager_tensor{sizeof(onager_tensor), 0, 0, 0, nullptr, nullptr, 0});
    if (dtype == ONAGER_STRING && !copyTexts(*in, inputs.back()))
      return false;
    in += dtype != 0;
  }
  call.user = node.op.user;
  call.node = &node.node;
  call.inputs = inputs.data();
  call.input_count = inputs.size();
  call.output_count = node.info.results.size();
  call.results = nullptr;
  call.outputs = nullptr;
  return true;
}

bool OperatorCalls::end(const OperatorNode &node, bool isFine) {
  releaseAll();
  if (!isFine)
    text = "node '" + node.info.node + "' (op " + node.info.type + ", domain " + node.info.domain + "): " + (text.empty() ? "the operator has failed" : text);
  return isFine;
}

bool OperatorCalls::checkResult(const OperatorNode &node, size_t index, int64_t *&symbols) {
  const ResultInfo &expected = node.info.results[index];
  const onager_result &found = results[index];
  auto refuse = [&](const char *what, int64_t wanted, int64_t got) {
    text = "output " + std::to_string(index) + ": expected " + what + " " + std::to_string(wanted) + " as when it was compiled, found " + std::to_string(got);
    return false;
  };
  if (found.dtype != static_cast<int32_t>(expected.dtype))
    return refuse("element type", static_cast<int64_t>(expected.dtype), found.dtype);
  if (found.rank < 0 || static_cast<size_t>(found.rank) != expected.dims.size())
    return refuse("rank", static_cast<int64_t>(expected.dims.size()), found.rank);
  for (size_t d = 0; d < expected.dims.size(); ++d) {
    if (found.dims[d] < 0) {
      text = "output " + std::to_string(index) + ": dim " + std::to_string(d) + " is " + std::to_string(found.dims[d]);
      return false;
    }
    if (expected.dims[d] >= 0 && found.dims[d] != expected.dims[d])
      return refuse(("dim " + std::to_string(d) + " of").c_str(), expected.dims[d], found.dims[d]);
    if (expected.dims[d] == ResultInfo::kFound)
      *symbols++ = found.dims[d];
  }
  return true;
}

bool OperatorCalls::infer(const OperatorNode &node, const onager_view *in, int64_t *symbols) {
  if (!begin(node, in))
    return end(node, false);
  results.assign(node.info.results.size(), onager_result{});
  call.results = results.data();
  bool isFine = node.op.infer(&call) == 0;
  for (size_t k = 0; isFine && k < results.size(); ++k)
    isFine = checkResult(node, k, symbols);
  return end(node, isFine);
}

bool OperatorCalls::internTexts(const onager_view &view, const onager_tensor &tensor) {
  auto *texts = static_cast<const onager_string *>(tensor.data);
  auto *numbers = static_cast<int64_t *>(view.data);
  for (uint64_t n = 0, count = countElements(view); n < count; ++n) {
    numbers[n] = strings.intern(texts[n].data ? texts[n].data : "", texts[n].data ? texts[n].bytes : 0);
    if (numbers[n] < 0)
      return false;
  }
  return true;
}

bool OperatorCalls::run(const OperatorNode &node, const onager_view *in, const onager_view *out) {
  if (!begin(node, in))
    return end(node, false);
  outputs.clear();
  bool isFine = true;
  for (size_t k = 0; k < node.info.results.size(); ++k) {
    outputs.push_back(describeTensor(out[k], static_cast<int64_t>(node.info.results[k].dtype)));
    if (node.info.results[k].dtype != ONAGER_STRING)
      continue;
    outputs[k].data = allocate(&call, outputs[k].bytes);
    isFine &= outputs[k].data != nullptr;
    if (outputs[k].data)
      std::memset(outputs[k].data, 0, outputs[k].bytes);
  }
  call.outputs = outputs.data();
  isFine = isFine && node.op.run(&call) == 0;
  for (size_t k = 0; isFine && k < outputs.size(); ++k)
    if (node.info.results[k].dtype == ONAGER_STRING)
      isFine = internTexts(out[k], outputs[k]);
  return end(node, isFine);
}

} // namespace onager::rt
