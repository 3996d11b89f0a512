// The C API over sessions and contexts.
#include "runtime/core/context.h"
#include "runtime/recompile/compilerfile.h"
#include "runtime/recompile/process.h"
#include <cstddef>
#include <cstring>
#include <new>

using namespace onager::rt;

struct onager_session : Session {
  using Session::Session;
};
struct onager_pool {
  std::shared_ptr<Pool> workers;
};
struct onager_context : Context {
  using Context::Context;
};

static thread_local std::string lastError;

static onager_status report(const Outcome &outcome) {
  if (!outcome)
    lastError = outcome.message;
  return outcome.status;
}

static onager_status badArgument(const char *message) { return report(failure(ONAGER_BAD_ARGUMENT, message)); }

extern "C" {

const char *onager_version(void) { return "0.1.0"; }
const char *onager_last_error(void) { return lastError.c_str(); }

size_t onager_dtype_bytes(int32_t dtype) {
  static const uint8_t bytes[] = {0, 4, 1, 1, 2, 2, 4, 8, sizeof(onager_string), 1, 2, 8, 4, 8, 8, 16, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
  return dtype >= 0 && static_cast<size_t>(dtype) < sizeof bytes ? bytes[dtype] : 0;
}
}

/// Copies the fields that a caller's options have; those that it was compiled without are zero.
static bool readOptions(const onager_options *options, onager_options &read) {
  read = {};
  if (!options)
    return true;
  if (options->size < offsetof(onager_options, threads) + sizeof options->threads)
    return false;
  std::memcpy(&read, options, options->size < sizeof read ? options->size : sizeof read);
  return true;
}

/// Says what is wrong with options, or NULL.
static const char *findFault(const onager_options &options) {
  if (options.threads < 0 || options.threads > 1024)
    return "threads: expected 0 to 1024";
  if (options.executor && options.pool)
    return "executor and pool: expected one of them, found both";
  if (options.executor && (options.executor->size < sizeof(onager_executor) || !options.executor->run))
    return "executor: its size field is not set, or it has no function";
  const onager_allocator *allocator = options.allocator;
  if (allocator && (allocator->size < sizeof *allocator || !allocator->allocate || !allocator->release))
    return "allocator: its size field is not set, or it lacks a function";
  return nullptr;
}

template <typename Open> static onager_status openSession(const onager_options *given, onager_session **session, Open open) {
  if (!session)
    return badArgument("session is NULL");
  onager_options options;
  if (!readOptions(given, options))
    return badArgument("the options' size field is not set");
  if (const char *fault = findFault(options))
    return badArgument(fault);
  RecompileSettings settings;
  if (Outcome outcome = readSettings(options.recompilation, settings); !outcome)
    return report(outcome);
  onager_session *made = new (std::nothrow) onager_session(options, options.pool ? options.pool->workers : nullptr, options.threads ? options.threads : countUsableCores());
  if (!made)
    return report(failure(ONAGER_OUT_OF_MEMORY, "no memory"));
  Outcome outcome = open(*made, options);
  if (outcome)
    outcome = made->finish(std::move(settings));
  if (!outcome) {
    delete made;
    return report(outcome);
  }
  const Manifest &manifest = made->model->generic.manifest;
  made->log(ONAGER_LOG_INFO, "opened model '%s': %zu launches, %llu bytes of weights, %d threads", manifest.name.c_str(), manifest.launches.size(),
            static_cast<unsigned long long>(manifest.weightBytes), made->threads());
  *session = made;
  return ONAGER_OK;
}

static onager_status describe(const std::vector<TensorInfo> &tensors, const std::vector<Description> &descriptions, size_t index, onager_info *info) {
  if (!info || info->size < offsetof(onager_info, value))
    return badArgument("info is NULL, or its size field is not set");
  if (index >= tensors.size())
    return badArgument("no such input or output");
  info->name = tensors[index].name.c_str();
  info->dtype = static_cast<int32_t>(tensors[index].dtype);
  info->rank = static_cast<int32_t>(tensors[index].dims.size());
  info->dims = descriptions[index].dims.data();
  info->dim_names = descriptions[index].names.data();
  if (info->size >= sizeof *info) {
    info->value = tensors[index].value.c_str();
    info->form = tensors[index].form.c_str();
  }
  return ONAGER_OK;
}

static onager_status checkCall(onager_context *context, const onager_tensor *inputs, size_t count, const onager_tensor *outputs, size_t outputs_count) {
  if (!context || (count && !inputs) || (outputs_count && !outputs))
    return badArgument("context, inputs or outputs are NULL");
  for (size_t k = 0; k < count; ++k)
    if (inputs[k].size < sizeof(onager_tensor) || (inputs[k].rank > 0 && !inputs[k].dims))
      return badArgument("an input's size field is not set, or its dims are NULL");
  for (size_t k = 0; k < outputs_count; ++k)
    if (outputs[k].size < sizeof(onager_tensor))
      return badArgument("an output's size field is not set");
  return ONAGER_OK;
}

extern "C" {

onager_status onager_session_open(const char *path, const onager_options *options, onager_session **session) {
  if (!path)
    return badArgument("path is NULL");
  return openSession(options, session, [&](Session &made, const onager_options &read) { return made.model->openFile(path, read.weights_path); });
}

onager_status onager_session_open_memory(const void *data, size_t bytes, const onager_options *options, onager_session **session) {
  if (!data)
    return badArgument("data is NULL");
  return openSession(options, session, [&](Session &made, const onager_options &read) { return made.model->openMemory(data, bytes, read.weights_path); });
}

onager_status onager_session_open_model(const onager_model *model, const void *weights, const onager_options *options, onager_session **session) {
  return openSession(options, session, [&](Session &made, const onager_options &read) { return made.model->openLinked(model, weights, read.weights_path); });
}

onager_status onager_session_share(onager_session *other, const onager_options *options, onager_session **session) {
  if (!other)
    return badArgument("the session to share is NULL");
  return openSession(options, session, [&](Session &made, const onager_options &) {
    made.share(*other);
    return Outcome();
  });
}

onager_status onager_operator_register(const onager_operator *op) { return op ? report(registerOperator(*op)) : badArgument("the operator is NULL"); }

onager_status onager_operators_load(const char *path) { return path ? report(loadOperators(path)) : badArgument("path is NULL"); }

const onager_operator *onager_operator_at(size_t index) { return getOperator(index); }

onager_status onager_pool_create(int32_t threads, onager_pool **pool) {
  if (!pool)
    return badArgument("pool is NULL");
  if (threads < 0 || threads > 1024)
    return badArgument("threads: expected 0 to 1024");
  *pool = new (std::nothrow) onager_pool{std::make_shared<Pool>(threads ? threads : countUsableCores())};
  return *pool ? ONAGER_OK : report(failure(ONAGER_OUT_OF_MEMORY, "no memory"));
}

void onager_pool_release(onager_pool *pool) { delete pool; }

void onager_session_close(onager_session *session) { delete session; }
size_t onager_session_inputs(const onager_session *session) { return session ? session->inputs.size() : 0; }
size_t onager_session_outputs(const onager_session *session) { return session ? session->outputs.size() : 0; }

onager_status onager_session_input(const onager_session *session, size_t index, onager_info *info) {
  return session ? describe(session->model->generic.manifest.inputs, session->inputs, index, info) : badArgument("session is NULL");
}

onager_status onager_session_output(const onager_session *session, size_t index, onager_info *info) {
  return session ? describe(session->model->generic.manifest.outputs, session->outputs, index, info) : badArgument("session is NULL");
}

onager_status onager_session_warm_up(onager_session *session, const onager_tensor *inputs, size_t count, int32_t wait) {
  if (!session)
    return badArgument("session is NULL");
  onager_context *context = new (std::nothrow) onager_context(*session);
  if (!context)
    return report(failure(ONAGER_OUT_OF_MEMORY, "no memory"));
  onager_status status = checkCall(context, inputs, count, nullptr, 0);
  if (!status)
    status = report(context->warmUp(inputs, count, wait != 0));
  delete context;
  return status;
}

onager_status onager_session_freeze(onager_session *session) {
  if (!session)
    return badArgument("session is NULL");
  session->freeze();
  return ONAGER_OK;
}

onager_status onager_session_export(const onager_session *session, const char *path) {
  if (!session || !path || !*path)
    return badArgument("session or path is NULL, or the path is empty");
  std::string compiler;
  if (Outcome outcome = requireCompiler(session->recompiler ? session->recompiler->getNamedCompiler() : nullptr, compiler); !outcome)
    return report(outcome);
  std::vector<std::string> guards;
  // Those of the artifact are kept without being asked for.
  std::shared_ptr<const VariantTable> table = session->getTable();
  for (const std::shared_ptr<Variant> &variant : table->variants)
    if (variant->owner)
      guards.push_back(print(variant->guard(), {})); // names may hold commas
  return report(exportArtifact(compiler, *session->model, guards, path));
}

onager_status onager_session_stats(const onager_session *session, onager_stats *stats) {
  if (!session || !stats || stats->size < sizeof *stats)
    return badArgument("session or stats is NULL, or the stats' size field is not set");
  *stats = {};
  stats->size = sizeof *stats;
  stats->mode = session->isFrozen() ? ONAGER_RECOMPILE_FROZEN : ONAGER_RECOMPILE_OFF;
  stats->hits = session->hits.load();
  stats->misses = session->misses.load();
  std::shared_ptr<const VariantTable> table = session->getTable();
  stats->variants = table->variants.size();
  table->count(stats->variant_bytes);
  if (session->recompiler)
    session->recompiler->fill(*stats);
  return ONAGER_OK;
}

int32_t onager_session_threads(const onager_session *session) { return session ? session->threads() : 0; }

onager_status onager_context_create(onager_session *session, onager_context **context) {
  if (!session || !context)
    return badArgument("session or context is NULL");
  *context = new (std::nothrow) onager_context(*session);
  return *context ? ONAGER_OK : report(failure(ONAGER_OUT_OF_MEMORY, "no memory"));
}

void onager_context_destroy(onager_context *context) { delete context; }

onager_status onager_context_prepare(onager_context *context, const onager_tensor *inputs, size_t count, onager_tensor *outputs, size_t output_count) {
  if (onager_status status = checkCall(context, inputs, count, outputs, output_count))
    return status;
  return report(context->prepare(inputs, count, outputs, output_count));
}

onager_status onager_context_run(onager_context *context, const onager_tensor *inputs, size_t count, onager_tensor *outputs, size_t output_count) {
  if (onager_status status = checkCall(context, inputs, count, outputs, output_count))
    return status;
  return report(context->run(inputs, count, outputs, output_count));
}

void onager_context_cancel(onager_context *context) {
  if (context)
    context->cancel();
}

onager_status onager_context_set_deadline(onager_context *context, double seconds) {
  if (!context || !(seconds >= 0 && seconds < 1e9))
    return badArgument("context is NULL, or seconds are not between 0 and 1e9");
  context->setDeadline(seconds);
  return ONAGER_OK;
}

onager_status onager_context_pin(onager_context *context, int32_t on) {
  if (!context)
    return badArgument("context is NULL");
  context->pin(on != 0);
  return ONAGER_OK;
}

onager_status onager_context_pin_like(onager_context *context, const onager_context *pinned) {
  if (!context || !pinned)
    return badArgument("context or pinned is NULL");
  return report(context->pinLike(*pinned));
}

onager_status onager_context_query_memory(onager_context *context, const onager_tensor *inputs, size_t count, uint64_t *bytes) {
  if (!bytes)
    return badArgument("bytes is NULL");
  if (onager_status status = checkCall(context, inputs, count, nullptr, 0))
    return status;
  return report(context->queryMemory(inputs, count, *bytes));
}

uint64_t onager_context_memory(const onager_context *context) { return context ? context->memory() : 0; }

onager_status onager_context_profile(onager_context *context, int32_t on) {
  if (!context)
    return badArgument("context is NULL");
  context->setProfiling(on != 0);
  return ONAGER_OK;
}

size_t onager_context_launches(const onager_context *context) { return context ? context->launches() : 0; }

onager_status onager_context_launch(const onager_context *context, size_t index, int32_t thread, onager_launch *launch) {
  if (!context || !launch || launch->size < sizeof *launch)
    return badArgument("context or launch is NULL, or launch's size field is not set");
  return report(context->launchAt(index, thread, *launch));
}
}
