// A program that runs the one model it carries: the artifact lies behind the program in the same file.
#include "onager-rt/operators.h"
#include "runtime/formats/Tensor.h"
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <new>
#include <sys/stat.h>
#include <unistd.h>

using namespace onager::formats;

namespace {

constexpr int kBadOption = 2, kBadFile = 4, kInternal = 5;

/// Ends the program with a status and a line on standard error.
struct Failure : std::runtime_error {
  Failure(int status, const std::string &message) : std::runtime_error(message), status(status) {}
  int status;
};

void check(onager_status status) {
  if (status == ONAGER_OK)
    return;
  throw Failure(status == ONAGER_OUT_OF_MEMORY ? kInternal : kBadFile, onager_last_error());
}

struct Arguments {
  std::vector<std::string> files;
  std::string outputFolder;
  int threads = 0;
  bool wantsHelp = false;
};

/// An open model, its inputs as they are found, and its outputs.
struct Program {
  Program() = default;
  Program(const Program &) = delete;
  ~Program() {
    onager_context_destroy(context);
    onager_session_close(session);
  }
  onager_session *session = nullptr;
  onager_context *context = nullptr;
  std::vector<onager_info> inputs, outputs;
};

} // namespace

static Arguments parseArguments(int argc, char **argv) {
  Arguments arguments;
  bool isFile = false;
  for (int k = 1; k < argc; ++k) {
    std::string argument = argv[k];
    auto takeValue = [&]() -> std::string {
      if (k + 1 == argc)
        throw Failure(kBadOption, "option '" + argument + "' needs a value");
      return argv[++k];
    };
    if (isFile || argument.empty() || argument[0] != '-') {
      arguments.files.push_back(argument);
    } else if (argument == "--") {
      isFile = true;
    } else if (argument == "-h" || argument == "--help") {
      arguments.wantsHelp = true;
    } else if (argument == "--output-dir") {
      arguments.outputFolder = takeValue();
    } else if (argument == "--operators") {
      check(onager_operators_load(takeValue().c_str()));
    } else if (argument == "--threads") {
      std::string value = takeValue();
      auto [end, failure] = std::from_chars(value.data(), value.data() + value.size(), arguments.threads);
      if (failure != std::errc() || *end || arguments.threads < 0 || arguments.threads > 1024)
        throw Failure(kBadOption, "option '--threads': expected 0 to 1024, found '" + value + "'");
    } else {
      throw Failure(kBadOption, "unknown option '" + argument + "'");
    }
  }
  return arguments;
}

static void openModel(Program &program, int threads) {
  char path[4096];
  ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length < 0)
    throw Failure(kInternal, std::string("cannot find this program's file: ") + std::strerror(errno));
  std::string weights = std::string(path, static_cast<size_t>(length)) + ".weights";
  onager_options options{};
  options.size = sizeof options;
  options.threads = threads;
  options.weights_path = weights.c_str();
  check(onager_session_open("/proc/self/exe", &options, &program.session));
  check(onager_context_create(program.session, &program.context));
  program.inputs.resize(onager_session_inputs(program.session));
  program.outputs.resize(onager_session_outputs(program.session));
  for (std::vector<onager_info> *infos : {&program.inputs, &program.outputs})
    for (onager_info &info : *infos)
      info.size = sizeof info;
  for (size_t k = 0; k < program.inputs.size(); ++k)
    check(onager_session_input(program.session, k, &program.inputs[k]));
  for (size_t k = 0; k < program.outputs.size(); ++k)
    check(onager_session_output(program.session, k, &program.outputs[k]));
}

static std::string describe(const onager_info &info) {
  std::string text = std::string(info.name) + ": " + getTypeName(info.dtype) + " [";
  for (int32_t k = 0; k < info.rank; ++k)
    text += (k ? ", " : "") + (info.dims[k] < 0 ? std::string(info.dim_names[k]) : std::to_string(info.dims[k]));
  return text + "]";
}

static void printHelp(const Program &program, const char *name) {
  std::printf("Runs a model that Onager compiled into this program.\n\nUsage: %s [OPTIONS] [NAME=FILE | FILE | FILE.npz]...\n\n"
              "Inputs are .npy or .pb files by name or in order, or .npz files that hold them by name.\n\n"
              "  --output-dir DIR  write each output to NAME.npy instead of printing it\n"
              "  --threads N       threads of the run; 0 (default): as many as the process may use\n\nInputs:\n",
              name);
  for (const onager_info &info : program.inputs)
    std::printf("  %s\n", describe(info).c_str());
  std::puts("Outputs:");
  for (const onager_info &info : program.outputs)
    std::printf("  %s\n", describe(info).c_str());
  std::puts("\nExit status: 0 fine, 2 bad option, 4 bad file or input, 5 internal error.");
}

static int findInput(const Program &program, std::string_view name) {
  for (size_t k = 0; k < program.inputs.size(); ++k)
    if (name == program.inputs[k].name)
      return static_cast<int>(k);
  return -1;
}

/// Splits NAME=FILE at the '=' behind an input's name; -1 where there is none. Names and paths may hold more of them.
static int splitArgument(const Program &program, const std::string &argument, std::string &file) {
  for (size_t at = argument.find('='); at != std::string::npos; at = argument.find('=', at + 1))
    if (int index = findInput(program, std::string_view(argument).substr(0, at)); index >= 0) {
      file = argument.substr(at + 1);
      return index;
    }
  return -1;
}

/// Returns the input at an index, which must not have been given before.
static Tensor &takeSlot(const Program &program, std::vector<Tensor> &tensors, size_t index) {
  if (tensors[index].elementBytes)
    throw Failure(kBadOption, std::string("input '") + program.inputs[index].name + "' is given twice");
  return tensors[index];
}

static std::vector<Tensor> readInputs(const Program &program, const std::vector<std::string> &files) {
  std::vector<Tensor> tensors(program.inputs.size());
  for (const std::string &argument : files) {
    std::string file = argument;
    int index = splitArgument(program, argument, file);
    if (index < 0 && argument.ends_with(".npz")) {
      for (auto &[name, tensor] : readArchive(argument)) {
        int named = findInput(program, name);
        if (named < 0)
          throw FileError("'" + argument + "' holds " + quoteText(name) + ", which is no input");
        takeSlot(program, tensors, static_cast<size_t>(named)) = std::move(tensor);
      }
      continue;
    }
    for (size_t k = 0; index < 0 && k < tensors.size(); ++k)
      if (!tensors[k].elementBytes)
        index = static_cast<int>(k);
    if (index < 0)
      throw Failure(kBadOption, "'" + argument + "' is one file more than the model has inputs");
    takeSlot(program, tensors, static_cast<size_t>(index)) = readTensor(file);
  }
  for (size_t k = 0; k < tensors.size(); ++k) {
    if (!tensors[k].elementBytes)
      throw Failure(kBadOption, "no file for input '" + std::string(program.inputs[k].name) + "'; --help tells more");
    adaptType(tensors[k], program.inputs[k].dtype, "input '" + std::string(program.inputs[k].name) + "'");
  }
  return tensors;
}

static std::vector<Tensor> runModel(const Program &program, std::vector<Tensor> &tensors) {
  std::vector<onager_tensor> inputs, outputs(program.outputs.size(), onager_tensor{sizeof(onager_tensor), 0, 0, 0, nullptr, nullptr, 0});
  for (Tensor &tensor : tensors)
    inputs.push_back(toRuntime(tensor));
  check(onager_context_run(program.context, inputs.data(), inputs.size(), outputs.data(), outputs.size()));
  std::vector<Tensor> results;
  for (const onager_tensor &output : outputs)
    results.push_back(fromRuntime(output));
  return results;
}

static void printTensor(const onager_info &info, const Tensor &tensor) {
  constexpr size_t kMostElements = 64;
  std::printf("%s: %s %s\n", info.name, getTypeName(tensor.dtype), describeDims(tensor.dims).c_str());
  for (size_t k = 0; k < tensor.size() && k < kMostElements; ++k)
    std::printf(" %s", printElement(tensor, k).c_str());
  std::puts(tensor.size() > kMostElements ? " ..." : "");
}

/// Writes a file beside its place and renames it, so that it appears complete or not at all.
static void writeFile(const std::string &path, const std::string &bytes) {
  std::string temporary = path + ".tmp-" + std::to_string(getpid());
  std::FILE *file = std::fopen(temporary.c_str(), "wbe");
  bool isWritten = file && std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  isWritten = file && !std::fclose(file) && isWritten;
  if (isWritten && !std::rename(temporary.c_str(), path.c_str()))
    return;
  int error = errno;
  std::remove(temporary.c_str());
  throw FileError("cannot write '" + path + "': " + std::strerror(error));
}

static void writeTensors(const Program &program, const std::vector<Tensor> &tensors, const std::string &folder) {
  if (mkdir(folder.c_str(), 0777) && errno != EEXIST)
    throw FileError("cannot make folder '" + folder + "': " + std::strerror(errno));
  for (size_t k = 0; k < tensors.size(); ++k)
    writeFile(folder + "/" + makeFileName(program.outputs[k].name) + ".npy", formatNpy(tensors[k]));
}

static void runProgram(int argc, char **argv) {
  Arguments arguments = parseArguments(argc, argv);
  Program program;
  openModel(program, arguments.threads);
  if (arguments.wantsHelp)
    return printHelp(program, argv[0]);
  std::vector<Tensor> inputs = readInputs(program, arguments.files), outputs = runModel(program, inputs);
  if (!arguments.outputFolder.empty())
    return writeTensors(program, outputs, arguments.outputFolder);
  for (size_t k = 0; k < outputs.size(); ++k)
    printTensor(program.outputs[k], outputs[k]);
  if (std::fflush(stdout))
    throw FileError(std::string("cannot write to standard output: ") + std::strerror(errno));
}

int main(int argc, char **argv) {
  const char *name = argc > 0 ? argv[0] : "model";
  auto fail = [&](int status, const char *message) {
    std::fprintf(stderr, "%s: error: %s\n", name, message);
    return status;
  };
  try {
    runProgram(argc, argv);
    return 0;
  } catch (const Failure &failure) {
    return fail(failure.status, failure.what());
  } catch (const FileError &error) {
    return fail(kBadFile, error.what());
  } catch (const std::bad_alloc &) {
    return fail(kInternal, "out of memory");
  }
}
