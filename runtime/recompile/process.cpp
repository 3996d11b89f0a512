// Running the compiler.
#include "runtime/recompile/process.h"
#include "runtime/core/descriptor.h"
#include "runtime/recompile/outputfolder.h"
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

extern char **environ;

namespace onager::rt {

namespace {

/// A descriptor that the compiler gets, and the number that it has there.
struct Given {
  int descriptor, number;
};

/// The compiler, running.
class Child {
public:
  /// Starts `words`, whose first is the program. Temporary files go to `temporary`, or to where they always go if that is empty.
  Outcome start(std::vector<std::string> words, const std::vector<Given> &given, const std::string &temporary) {
    messages = Descriptor(memfd_create("onager-messages", MFD_CLOEXEC));
    if (!messages)
      return failure(ONAGER_OUT_OF_MEMORY, "no memory for what the compiler says");
    std::vector<char *> arguments;
    for (std::string &word : words)
      arguments.push_back(word.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    // Descriptors that the numbers belong to may be among those that are given: they go out of the way first.
    std::vector<Descriptor> copies;
    auto give = [&](int descriptor, int number) {
      copies.emplace_back(fcntl(descriptor, F_DUPFD_CLOEXEC, 16));
      posix_spawn_file_actions_adddup2(&actions, copies.back().get(), number);
    };
    give(messages.get(), 1);
    give(messages.get(), 2);
    for (const Given &one : given)
      give(one.descriptor, one.number);
    std::string folder = "TMPDIR=" + temporary;
    std::vector<char *> environment = getEnvironment(temporary.empty() ? nullptr : folder.data());
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    // A group of its own: what the terminal sends to the application is not for the compiler.
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    int status = posix_spawn(&process, words[0].c_str(), &actions, &attributes, arguments.data(), environment.data());
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (status)
      return failure(ONAGER_BAD_FILE, "cannot start the compiler " + words[0] + ": " + strerror(status));
    return {};
  }

  /// Waits for the end of the child, which is killed after some seconds. A process whose status somebody else has taken is judged by its file alone.
  Outcome wait(double seconds, const std::atomic<bool> &isStopping) {
    int status = 0;
    double waited = 0;
    for (;;) {
      pid_t ended = waitpid(process, &status, WNOHANG);
      if (ended == process || (ended < 0 && errno != EINTR))
        break;
      if (waited > seconds || isStopping.load())
        kill(process, SIGKILL);
      constexpr double kStep = 0.002;
      timespec pause{0, static_cast<long>(kStep * 1e9)};
      nanosleep(&pause, nullptr);
      waited += kStep;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
      return {};
    std::string said = readAll(messages.get(), 4096);
    while (!said.empty() && said.back() == '\n')
      said.pop_back();
    if (WIFSIGNALED(status))
      said = waited > seconds ? "it took more than " + std::to_string(seconds) + " s" : "it was ended by signal " + std::to_string(WTERMSIG(status));
    return failure(ONAGER_RUN_FAILED, "the compiler failed: " + said);
  }

private:
  /// The environment, with another variable where it is not null.
  static std::vector<char *> getEnvironment(char *temporary) {
    std::vector<char *> variables;
    for (char **variable = environ; variable && *variable; ++variable)
      if ((!temporary || strncmp(*variable, "TMPDIR=", 7)) && strncmp(*variable, "LD_PRELOAD=", 11))
        variables.push_back(*variable);
    if (temporary)
      variables.push_back(temporary);
    variables.push_back(nullptr);
    return variables;
  }

  Descriptor messages;
  pid_t process = 0;
};

/// Writes what a variant is made of.
Outcome writeJob(const Model &model, Descriptor &job) {
  job = Descriptor(memfd_create("onager-job", MFD_CLOEXEC));
  uint64_t size = model.formBytes;
  bool isWritten = job && !writeAll(job.get(), {reinterpret_cast<const char *>(&size), sizeof size}) && !writeAll(job.get(), {model.form, model.formBytes}) &&
                   !writeAll(job.get(), {model.recipes, model.recipeBytes});
  return isWritten ? Outcome() : failure(ONAGER_OUT_OF_MEMORY, "no memory for what the compiler is given");
}

} // namespace

Outcome compileVariant(const std::string &compiler, const Model &model, const std::string &guard, const ProcessOptions &options, const std::atomic<bool> &isStopping,
                       std::string &payload) {
  OutputFolder folder;
  if (Outcome outcome = folder.make(); !outcome)
    return outcome;
  Descriptor job;
  if (Outcome outcome = writeJob(model, job); !outcome)
    return outcome;
  std::vector<std::string> words{compiler, "specialize", "--guard", guard, "-o", folder.output(), "--job", "3"};
  std::vector<Given> given{{job.get(), 3}};
  if (model.getWeightsDescriptor() >= 0) {
    given.push_back({model.getWeightsDescriptor(), 4});
    words.insert(words.end(), {"--weights", "4", "--weights-start", std::to_string(model.weightsOffset()), "--weights-bytes", std::to_string(model.weightRoom())});
  }
  if (options.isBackground)
    words.push_back("--background");
  if (options.isBackground && !options.avoided.empty())
    words.insert(words.end(), {"--avoid-cores", options.avoided});
  Child child;
  if (Outcome outcome = child.start(std::move(words), given, folder.path); !outcome)
    return outcome;
  if (Outcome outcome = child.wait(options.seconds, isStopping); !outcome)
    return outcome;
  return folder.read(payload);
}

Outcome exportArtifact(const std::string &compiler, const Model &model, const std::vector<std::string> &guards, const std::string &output) {
  if (!model.form)
    return failure(ONAGER_BAD_ARGUMENT, "the artifact does not carry what variants are made of");
  if (!model.isFileWhole())
    return failure(ONAGER_BAD_ARGUMENT, "the model's weights are in another file, or linked into the program: compile it again, with --variant");
  // A name that is no option and no standard output.
  std::vector<std::string> words{compiler, "respecialize", "/dev/fd/3", "--output=" + (output == "-" ? "./-" : output)};
  for (const std::string &guard : guards)
    words.push_back("--variant=" + guard);
  Child child;
  if (Outcome outcome = child.start(std::move(words), {{model.getWeightsDescriptor(), 3}}, {}); !outcome)
    return outcome;
  static const std::atomic<bool> never{false};
  return child.wait(HUGE_VAL, never);
}

} // namespace onager::rt
