// onager specialize: a variant of a model that runs, for the runtime that asks for it by descriptors.
#include "onager/Specialize.h"
#include "Cli.h"
#include "CrashReport.h"
#include "runtime/recompile/corelist.h"
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstring>
#include <memory>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace onager::cli {

namespace {

struct SpecializeArguments {
  int job = -1, weights = -1;
  uint64_t weightsStart = 0, weightsBytes = 0;
  std::string guard, output, avoided;
  bool isBackground = false, verifyEach = false;
};

/// A descriptor's file, mapped.
struct MappedFile {
  MappedFile(int fd, const char *option) {
    struct stat info;
    if (fstat(fd, &info))
      throw Failure(Status::badOption, std::string("option '--") + option + "': descriptor " + std::to_string(fd) + " is not open");
    size = static_cast<size_t>(info.st_size);
    void *address = size ? mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (address == MAP_FAILED)
      throw Failure(Status::badFile, std::string("option '--") + option + "': descriptor " + std::to_string(fd) + " cannot be mapped");
    bytes = static_cast<const char *>(address);
  }
  MappedFile(const MappedFile &) = delete;
  ~MappedFile() { munmap(const_cast<char *>(bytes), size); }
  std::string_view view() const { return {bytes, size}; }
  const char *bytes;
  size_t size;
};

} // namespace

static Status runSpecialize(const SpecializeArguments &arguments) {
  // The application's end is the end of what it asked for.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (arguments.isBackground) {
    setpriority(PRIO_PROCESS, 0, 19);
    if (!rt::avoidCores(arguments.avoided))
      throw Failure(Status::badOption, "option '--avoid-cores': expected cores like 0-3,7, found '" + arguments.avoided + "'");
  }
  MappedFile job(arguments.job, "job");
  uint64_t formBytes = 0;
  if (job.size >= sizeof formBytes)
    std::memcpy(&formBytes, job.bytes, sizeof formBytes);
  if (job.size < sizeof formBytes || formBytes > job.size - sizeof formBytes)
    throw Failure(Status::badFile, "the job is malformed");
  SpecializeOptions options;
  options.generic = job.view().substr(sizeof formBytes, formBytes);
  options.recipes = job.view().substr(sizeof formBytes + formBytes);
  options.guard = arguments.guard;
  options.output = arguments.output;
  options.verifyEach = arguments.verifyEach;
  std::unique_ptr<MappedFile> weights;
  if (arguments.weights >= 0) {
    weights = std::make_unique<MappedFile>(arguments.weights, "weights");
    if (arguments.weightsStart > weights->size || arguments.weightsBytes > weights->size - arguments.weightsStart)
      throw Failure(Status::badFile, "the weights are cut off");
    options.weights = weights->view().substr(arguments.weightsStart, arguments.weightsBytes);
  }
  CompileResult result = specialize(options);
  if (result.status != Status::ok)
    throw Failure(result.status, result.error);
  return Status::ok;
}

Command addSpecialize(CLI::App &app) {
  auto arguments = std::make_shared<SpecializeArguments>();
  app.add_option("--job", arguments->job, "Descriptor of the model's generic form and recipes")->required()->type_name("FD");
  app.add_option("--weights", arguments->weights, "Descriptor of the file that has the model's weights")->type_name("FD");
  app.add_option("--weights-start", arguments->weightsStart, "Where they begin")->type_name("BYTE");
  app.add_option("--weights-bytes", arguments->weightsBytes, "How many they are")->type_name("BYTES");
  app.add_option("--guard", arguments->guard, "What the variant is for, as batch=1,seq=16:512:16")->required()->type_name("GUARD");
  app.add_option("-o,--output", arguments->output, "Where the variant goes")->required()->type_name("FILE");
  app.add_flag("--background", arguments->isBackground, "Run with the lowest priority");
  app.add_option("--avoid-cores", arguments->avoided, "With --background: cores to stay away from, where there are others")->type_name("0-3,7");
  app.add_flag("--verify-each", arguments->verifyEach, "Verify the IR after every pass");
  return [arguments] { return runSpecialize(*arguments); };
}

} // namespace onager::cli
