// Sessions that have variants made, what they tell, and programs that stand for the compiler.
#ifndef ONAGER_TEST_UNIT_SPECIALSESSION_H
#define ONAGER_TEST_UNIT_SPECIALSESSION_H

#include "onager/Specialize.h"
#include "runtime/core/model.h"
#include "test/unit/Support.h"
#include <gtest/gtest.h>
#include <mutex>
#include <set>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace onager::test {

/// What a session told of its variants.
struct Events {
  std::mutex lock;
  std::vector<std::string> lines;
  std::set<std::thread::id> threads; ///< that told it
  static void add(void *user, const onager_event *event) {
    static const char *const kinds[] = {"", "compiled", "loaded", "failed", "evicted"};
    auto &events = *static_cast<Events *>(user);
    std::lock_guard<std::mutex> guard(events.lock);
    events.threads.insert(std::this_thread::get_id());
    events.lines.push_back(std::string(kinds[event->kind]) + " " + event->guard + (*event->message ? std::string(": ") + event->message : ""));
  }
  std::vector<std::string> read() {
    std::lock_guard<std::mutex> guard(lock);
    return lines;
  }
};

/// A session over a model [n, 4] -> [n, 4].
struct Special {
  explicit Special(const std::string &path, onager_recompilation recompilation = {}) {
    recompilation.size = sizeof recompilation;
    recompilation.event = Events::add;
    recompilation.event_user = &events;
    onager_options options{};
    options.size = sizeof options;
    options.threads = 1;
    options.recompilation = &recompilation;
    options.log = addWarning;
    options.log_user = this;
    EXPECT_EQ(onager_session_open(path.c_str(), &options, &session), ONAGER_OK) << onager_last_error();
    EXPECT_EQ(onager_context_create(session, &context), ONAGER_OK);
  }
  Special(const Special &) = delete;
  ~Special() {
    onager_context_destroy(context);
    onager_session_close(session);
  }
  onager_status warmUp(int64_t n, bool wait = true) {
    Tensor x({n, 4});
    onager_tensor input = x.view();
    input.data = nullptr; // nothing decides but shapes
    return onager_session_warm_up(session, &input, 1, wait);
  }
  float run(int64_t n) {
    Tensor x({n, 4}, 1), y({n, 4});
    onager_tensor input = x.view(), output = y.view();
    EXPECT_EQ(onager_context_run(context, &input, 1, &output, 1), ONAGER_OK) << onager_last_error();
    return y.data.empty() ? 0 : y.data.back();
  }
  onager_stats stats() const {
    onager_stats stats{};
    stats.size = sizeof stats;
    EXPECT_EQ(onager_session_stats(session, &stats), ONAGER_OK);
    return stats;
  }
  static void addWarning(void *user, int32_t level, const char *line) {
    auto &special = *static_cast<Special *>(user);
    std::lock_guard<std::mutex> guard(special.events.lock);
    if (level == ONAGER_LOG_WARNING)
      special.warnings.push_back(line);
  }
  Events events;
  std::vector<std::string> warnings; ///< under the lock of `events`
  onager_session *session = nullptr;
  onager_context *context = nullptr;
};

inline std::string compileScale(float factor) {
  return compileModel(makeModel("(float[n,4] x) => (float[n,4] y)", "f = Constant<value_float = " + std::to_string(factor) + ">()\ny = Mul(x, f)"));
}

inline onager_recompilation makeSettings(onager_recompile mode) {
  onager_recompilation settings{};
  settings.mode = mode;
  settings.cache = "";
  return settings;
}

/// A program that stands for the compiler: it gives everybody the same variant, after something else where it should do that first.
inline std::string writeCompiler(const std::string &variant, const std::string &first = "") {
  std::string path = getFolder() + "/compiler";
  writeFile(path, "#!/bin/sh\n" + first + "\nwhile [ \"$1\" != -o ]; do shift; done\nexec cp " + variant + " \"$2\"\n");
  chmod(path.c_str(), 0755);
  return path;
}

/// Makes a variant of an artifact for a guard.
inline std::string makeVariant(const std::string &artifact, const std::string &guard, const std::string &name) {
  onager::rt::Model model;
  EXPECT_TRUE(bool(model.openFile(artifact.c_str(), nullptr)));
  onager::SpecializeOptions options;
  options.generic = {model.form, model.formBytes};
  options.recipes = {model.recipes, model.recipeBytes};
  options.weights = {model.generic.weights, model.weightRoom()};
  options.guard = guard;
  options.output = getFolder() + "/" + name;
  options.verifyEach = true;
  onager::CompileResult result = onager::specialize(options);
  EXPECT_EQ(result.status, onager::Status::ok) << result.error;
  return options.output;
}

/// Waits up to ten seconds for something.
template <typename IsDone> bool waitFor(IsDone isDone) {
  for (int k = 0; k < 5000 && !isDone(); ++k)
    usleep(2000);
  return isDone();
}

} // namespace onager::test

#endif
