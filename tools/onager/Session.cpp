// Opening, binding, running.
#include "Session.h"
#include "Choice.h"
#include "Cli.h"
#include <CLI/CLI.hpp>
#include <map>

namespace onager::cli {

void checkCall(onager_status status) {
  if (status == ONAGER_OK)
    return;
  throw Failure(status == ONAGER_OUT_OF_MEMORY ? Status::internal : Status::badFile, onager_last_error());
}

Session::Session(const std::string &path, int threads, int mode) : mode(mode) {
  onager_recompilation recompilation{};
  recompilation.size = sizeof recompilation;
  recompilation.mode = mode;
  onager_options options{};
  options.size = sizeof options;
  options.threads = threads;
  options.recompilation = &recompilation;
  checkCall(onager_session_open(path.c_str(), &options, &session));
  onager_status status = onager_context_create(session, &context);
  if (status != ONAGER_OK)
    onager_session_close(session);
  checkCall(status);
  outputs.resize(onager_session_outputs(session));
}

Session::~Session() {
  onager_context_destroy(context);
  onager_session_close(session);
}

void Session::bind(std::vector<Tensor> &tensors) {
  inputs.clear();
  for (Tensor &tensor : tensors)
    inputs.push_back(formats::toRuntime(tensor));
}

void Session::warmUp() {
  if (mode == ONAGER_RECOMPILE_LAZY || mode == ONAGER_RECOMPILE_EAGER)
    checkCall(onager_session_warm_up(session, inputs.data(), inputs.size(), /*wait=*/1));
}

void addRecompile(CLI::App &app, int &mode) {
  mode = ONAGER_RECOMPILE_OFF;
  std::map<std::string, int> modes{{"off", ONAGER_RECOMPILE_OFF}, {"lazy", ONAGER_RECOMPILE_LAZY}, {"eager", ONAGER_RECOMPILE_EAGER}, {"frozen", ONAGER_RECOMPILE_FROZEN}};
  app.add_option("--recompile", mode, "off (default): the code of the artifact; lazy, eager: code for the inputs' shapes, made first; frozen: what the cache has")
      ->transform(CLI::CheckedTransformer(modes, CLI::ignore_case).description(""))
      ->transform(oneOf({"off", "lazy", "eager", "frozen"}).description("")) // before the one above
      ->type_name("MODE");
}

void Session::run() {
  // Outputs are the context's own memory each time.
  for (onager_tensor &output : outputs)
    output = {sizeof(onager_tensor), 0, 0, 0, nullptr, nullptr, 0};
  checkCall(onager_context_run(context, inputs.data(), inputs.size(), outputs.data(), outputs.size()));
}

std::vector<Tensor> Session::copyOutputs() const {
  std::vector<Tensor> copies;
  for (const onager_tensor &output : outputs)
    copies.push_back(formats::fromRuntime(output));
  return copies;
}

std::string Session::getInputName(size_t index) const {
  onager_info info{};
  info.size = sizeof info;
  checkCall(onager_session_input(session, index, &info));
  return info.name;
}

std::string Session::getOutputName(size_t index) const {
  onager_info info{};
  info.size = sizeof info;
  checkCall(onager_session_output(session, index, &info));
  return info.name;
}

} // namespace onager::cli
