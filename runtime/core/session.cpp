// Sessions: options, the signature, custom operators.
#include "runtime/core/session.h"
#include <cstdarg>
#include <cstdio>

namespace onager::rt {

Session::Session(const onager_options &options, std::shared_ptr<Pool> shared, int threads)
    : allocator(options.allocator ? *options.allocator : getSystemAllocator()), threadCount(threads), logLine(options.log), logUser(options.log_user) {
  if (options.executor) {
    executor = *options.executor;
    threadCount = executor.concurrent ? threads : 1;
    return;
  }
  pool = shared ? std::move(shared) : std::make_shared<Pool>(threads);
  if (!options.threads || options.threads > pool->size())
    threadCount = pool->size();
}

void Session::log(onager_level level, const char *format, ...) const {
  if (!logLine)
    return;
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  logLine(logUser, level, line);
}

void Session::describe() {
  auto fill = [&](const std::vector<TensorInfo> &tensors, std::vector<Description> &out) {
    for (const TensorInfo &tensor : tensors) {
      Description description;
      for (const Expr &dim : tensor.dims) {
        int64_t extent = -1;
        bool fixed = dim.isConstant(extent);
        description.dims.push_back(fixed ? extent : -1);
        description.texts.push_back(fixed ? "" : dim.print(model->generic.manifest.symbols));
      }
      out.push_back(std::move(description));
      for (const std::string &text : out.back().texts)
        out.back().names.push_back(text.c_str());
    }
  };
  fill(model->generic.manifest.inputs, inputs);
  fill(model->generic.manifest.outputs, outputs);
  // The vectors are final now; strings may have moved with them.
  for (auto *list : {&inputs, &outputs})
    for (Description &description : *list)
      for (size_t k = 0; k < description.texts.size(); ++k)
        description.names[k] = description.texts[k].c_str();
}

Outcome Session::findOperators() {
  for (const CustomNodeInfo &info : model->generic.manifest.operators) {
    const onager_operator *op = findOperator(info.domain, info.type, static_cast<int64_t>(info.version));
    if (!op)
      return failure(ONAGER_BAD_ARGUMENT, "node '" + info.node + "': operator " + info.type + " of domain " + info.domain + ", version " + std::to_string(info.version) +
                                              ", is not registered");
    operators.push_back(std::make_unique<OperatorNode>(info, *op));
  }
  return {};
}

void Session::share(const Session &other) {
  model = other.model;
  variants = other.variants;
}

Session::~Session() = default;

void Session::freeze() {
  if (recompiler)
    recompiler->freeze();
  std::lock_guard<std::mutex> guard(freezing);
  if (isFrozen())
    return;
  frozenTable = variants->get();
  frozen.store(true, std::memory_order_release);
}

Outcome Session::finish(RecompileSettings settings) {
  describe();
  // The first session of a model publishes what came with it.
  for (Code &code : model->variants) {
    auto variant = std::make_shared<Variant>();
    variant->code = std::move(code);
    variants->publish(std::move(variant));
  }
  model->variants.clear();
  if (Outcome outcome = findOperators(); !outcome)
    return outcome;
  bool isFixed = settings.mode == ONAGER_RECOMPILE_FROZEN;
  if (model->form && settings.mode != ONAGER_RECOMPILE_OFF) {
    recompiler = std::make_unique<Recompiler>(*this, std::move(settings));
    recompiler->load();
  }
  if (isFixed)
    freeze();
  return {};
}

} // namespace onager::rt
