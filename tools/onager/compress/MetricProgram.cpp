// Starting the program, and questions and answers.
#include "MetricProgram.h"
#include "tools/onager/Cli.h"
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

namespace onager::cli {

MetricProgram::MetricProgram(const std::string &command) {
  int toProgram[2] = {-1, -1}, fromProgram[2] = {-1, -1};
  if (pipe2(toProgram, O_CLOEXEC) || pipe2(fromProgram, O_CLOEXEC))
    throw Failure(Status::internal, std::string("no pipe: ") + std::strerror(errno));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, toProgram[0], 0);
  posix_spawn_file_actions_adddup2(&actions, fromProgram[1], 1);
  std::string words[] = {"/bin/sh", "-c", command};
  char *arguments[] = {words[0].data(), words[1].data(), words[2].data(), nullptr};
  int status = posix_spawn(&process, "/bin/sh", &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  close(toProgram[0]);
  close(fromProgram[1]);
  questions = fdopen(toProgram[1], "w");
  answers = fdopen(fromProgram[0], "r");
  if (status)
    throw Failure(Status::internal, std::string("no shell: ") + std::strerror(status));
  // A program that ends is an error of its own, not a signal.
  std::signal(SIGPIPE, SIG_IGN);
}

MetricProgram::~MetricProgram() {
  std::fclose(questions);
  std::fclose(answers);
  if (process > 0)
    waitpid(process, nullptr, 0);
}

double MetricProgram::measure(const Tensor &found, const Tensor &expected, size_t sample) {
  std::string expectedPath = folder.get() + "/expected.npy", foundPath = folder.get() + "/found.npy";
  writeFile(expectedPath, formatNpy(expected));
  writeFile(foundPath, formatNpy(found));
  bool isAsked = std::fprintf(questions, "%s\t%s\t%zu\n", expectedPath.c_str(), foundPath.c_str(), sample) > 0 && std::fflush(questions) == 0;
  char line[128];
  if (!isAsked || !std::fgets(line, sizeof line, answers))
    throw Failure(Status::badOption, "option 'metric-program': the program ended without an answer");
  char *end = line;
  double value = std::strtod(line, &end);
  while (*end == '\n' || *end == '\r' || *end == ' ')
    ++end;
  if (end == line || *end)
    throw Failure(Status::badOption, "option 'metric-program': expected a number, found '" + std::string(line, std::strcspn(line, "\n")) + "'");
  return value;
}

} // namespace onager::cli
