// Choosing the form of the code for the inputs of a run.
#include "runtime/core/context.h"
#include <algorithm>

namespace onager::rt {

Context::Context(Session &session)
    : session(session), work(session, session.model->generic.manifest.inputs.size(), session.model->generic.manifest.outputs.size()),
      generic(session, session.model->generic, work), last(&generic) {
  refresh();
}

void Context::refresh() {
  uint64_t generation = session.generation();
  adopt(session.getTable(), generation);
}

void Context::adopt(std::shared_ptr<const VariantTable> given, uint64_t generation) {
  seen = generation;
  table = std::move(given);
  isChosen = false;
  auto isGone = [&](const VariantFrame &entry) { return std::find(table->variants.begin(), table->variants.end(), entry.variant) == table->variants.end(); };
  for (const VariantFrame &entry : frames)
    if (last == entry.frame.get() && isGone(entry))
      last = &generic;
  frames.erase(std::remove_if(frames.begin(), frames.end(), isGone), frames.end());
}

void Context::pin(bool on) {
  isPinned = on;
  if (seen != session.generation())
    refresh();
}

Outcome Context::pinLike(const Context &other) {
  if (!other.isPinned || other.session.variants != session.variants)
    return failure(ONAGER_BAD_ARGUMENT, "the context to be like is not pinned, or runs another model");
  isPinned = true;
  if (table != other.table)
    adopt(other.table, other.seen);
  return {};
}

Outcome Context::bind(const onager_tensor *inputs, size_t count, Frame::Data data) {
  Outcome outcome = generic.bindInputs(inputs, count, data);
  isChosen = isChosen && generic.isRepeated();
  return outcome;
}

Variant *Context::findVariant() {
  if (!isPinned && seen != session.generation())
    refresh();
  return isChosen ? chosen : table->find(generic.getSymbols());
}

Variant *Context::choose() {
  Variant *variant = findVariant();
  if (isChosen)
    return variant;
  chosen = variant;
  last = variant ? &findFrame(*variant) : &generic;
  isChosen = true;
  return variant;
}

Frame &Context::findFrame(Variant &variant) {
  for (VariantFrame &entry : frames)
    if (entry.variant.get() == &variant)
      return *entry.frame;
  auto owner = std::find_if(table->variants.begin(), table->variants.end(), [&](const auto &other) { return other.get() == &variant; });
  frames.push_back({*owner, std::make_unique<Frame>(session, variant.code, work)});
  frames.back().frame->setProfiling(isProfiling);
  return *frames.back().frame;
}

Outcome Context::prepare(const onager_tensor *inputs, size_t count, onager_tensor *outputs, size_t outputCount) {
  if (Outcome outcome = bind(inputs, count, Frame::Data::needed); !outcome)
    return outcome;
  return generic.prepare(outputs, outputCount);
}

Outcome Context::run(const onager_tensor *inputs, size_t count, onager_tensor *outputs, size_t outputCount) {
  if (Outcome outcome = bind(inputs, count, Frame::Data::needed); !outcome)
    return outcome;
  Variant *variant = choose();
  if (!variant)
    return runGeneric(inputs, outputs, outputCount);
  session.hits.fetch_add(1, std::memory_order_relaxed);
  variant->hits.fetch_add(1, std::memory_order_relaxed);
  if (Outcome outcome = last->adoptInputs(generic); !outcome)
    return outcome;
  bool isJudged = session.recompiler && variant->genericSeconds > 0;
  int64_t start = isJudged ? nowNanoseconds() : 0;
  Outcome outcome = last->run(inputs, outputs, outputCount);
  if (isJudged && outcome)
    session.recompiler->judge(*variant, nowNanoseconds() - start);
  return outcome;
}

Outcome Context::runGeneric(const onager_tensor *inputs, onager_tensor *outputs, size_t outputCount) {
  session.misses.fetch_add(1, std::memory_order_relaxed);
  if (!session.recompiler || !session.recompiler->isCounting())
    return generic.run(inputs, outputs, outputCount);
  int64_t start = nowNanoseconds();
  Outcome outcome = generic.run(inputs, outputs, outputCount);
  if (outcome)
    session.recompiler->count(generic.getSymbols(), nowNanoseconds() - start);
  return outcome;
}

Outcome Context::warmUp(const onager_tensor *inputs, size_t count, bool wait) {
  if (Outcome outcome = bind(inputs, count, Frame::Data::ignored); !outcome)
    return outcome;
  if (generic.hasOneForm() || (!session.recompiler && findVariant()))
    return {};
  if (!session.recompiler)
    return failure(ONAGER_BAD_ARGUMENT, session.model->form ? "the session makes no variants: recompilation is off" : "the artifact does not carry what variants are made of");
  return session.recompiler->warmUp(generic.getSymbols(), wait);
}

Outcome Context::queryMemory(const onager_tensor *inputs, size_t count, uint64_t &bytes) {
  if (Outcome outcome = bind(inputs, count, Frame::Data::ignored); !outcome)
    return outcome;
  return generic.queryMemory(bytes);
}

void Context::setProfiling(bool on) {
  isProfiling = on;
  generic.setProfiling(on);
  for (VariantFrame &entry : frames)
    entry.frame->setProfiling(on);
}

} // namespace onager::rt
