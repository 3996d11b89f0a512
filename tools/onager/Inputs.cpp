// Inputs by name, by folder, and at random.
#include "Inputs.h"
#include "Files.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/FileSystem.h"
#include <CLI/CLI.hpp>

using llvm::StringRef;

namespace onager::cli {

void InputArguments::addRandom(CLI::App &app) {
  app.add_option("--dim", dims, "Extent of a symbolic dim of random inputs (default 1); may be repeated")->allow_extra_args(false)->type_name("NAME=K");
  app.add_option("--seed", seed, "Seed of random inputs");
}

void InputArguments::addFiles(CLI::App &app, bool needed) {
  needsFiles = needed;
  std::string rest = needed ? "" : "; what is not named is random";
  app.add_option("--input", files, "An input: a .npy or .pb file, or random numbers. 'random' alone stands for all inputs, FILE.npz for all inputs in it" + rest)
      ->allow_extra_args(false)
      ->type_name("NAME=FILE|random");
}

void InputArguments::addFolder(CLI::App &app) {
  app.add_option("--inputs", folder, "Folder of input_K.pb or NAME.npy; random inputs without it")->type_name("DIR");
}

static int findInput(const rt::Manifest &manifest, StringRef name) {
  for (size_t k = 0; k < manifest.inputs.size(); ++k)
    if (name == manifest.inputs[k].name)
      return static_cast<int>(k);
  return -1;
}

static std::string listInputs(const rt::Manifest &manifest) {
  std::string names;
  for (const rt::TensorInfo &info : manifest.inputs)
    names += (names.empty() ? "" : ", ") + info.name;
  return names.empty() ? "none" : names;
}

/// Splits NAME=VALUE at the '=' behind an input's name; names and paths may hold more of them.
static int splitInput(const rt::Manifest &manifest, StringRef argument, StringRef &value) {
  for (size_t at = argument.find('='); at != StringRef::npos; at = argument.find('=', at + 1))
    if (int index = findInput(manifest, argument.take_front(at)); index >= 0) {
      value = argument.drop_front(at + 1);
      return index;
    }
  throw Failure(Status::badOption, "option 'input': '" + argument.str() + "' names no input; the model has " + listInputs(manifest));
}

/// Stores a tensor as an input, once.
static void setInput(const rt::Manifest &manifest, std::pair<Tensor, bool> &slot, size_t index, Tensor tensor) {
  const rt::TensorInfo &info = manifest.inputs[index];
  if (slot.second)
    throw Failure(Status::badOption, "input '" + info.name + "' is given twice");
  adaptType(tensor, static_cast<int32_t>(info.dtype), "input '" + info.name + "'");
  slot = {std::move(tensor), true};
}

void InputArguments::readFiles(const rt::Manifest &manifest, Slots &slots, std::vector<bool> &isRandom) const {
  if (files.size() == 1 && files[0] == "random") {
    isRandom.assign(slots.size(), true);
    return;
  }
  for (const std::string &argument : files) {
    if (StringRef(argument).ends_with(".npz") && argument.find('=') == std::string::npos) {
      for (auto &[name, tensor] : readArchive(argument)) {
        int index = findInput(manifest, name);
        if (index < 0)
          throw Failure(Status::badFile, "'" + argument + "' holds " + formats::quoteText(name) + ", which is no input; the model has " + listInputs(manifest));
        setInput(manifest, slots[static_cast<size_t>(index)], static_cast<size_t>(index), std::move(tensor));
      }
      continue;
    }
    StringRef value;
    auto index = static_cast<size_t>(splitInput(manifest, argument, value));
    if (value == "random")
      isRandom[index] = true;
    else
      setInput(manifest, slots[index], index, readTensor(value.str()));
  }
}

void InputArguments::readFolder(const rt::Manifest &manifest, Slots &slots) const {
  if (!llvm::sys::fs::is_directory(folder))
    throw Failure(Status::badFile, "'" + folder + "' is not a folder");
  for (size_t k = 0; k < slots.size(); ++k) {
    std::string numbered = folder + "/input_" + std::to_string(k) + ".pb", named = folder + "/" + makeFileName(manifest.inputs[k].name) + ".npy";
    bool isNumbered = llvm::sys::fs::exists(numbered);
    if (isNumbered || llvm::sys::fs::exists(named))
      setInput(manifest, slots[k], k, readTensor(isNumbered ? numbered : named));
  }
}

/// The name by which a symbol is shown and set.
static std::string getSymbolName(const rt::Manifest &manifest, size_t symbol) {
  return manifest.symbols[symbol].empty() ? "s" + std::to_string(symbol) : manifest.symbols[symbol];
}

/// Reads NAME=K.
static std::pair<std::string, int64_t> parseDim(const std::string &argument) {
  auto [name, value] = StringRef(argument).rsplit('=');
  int64_t extent = 0;
  if (name.empty() || value.getAsInteger(10, extent) || extent < 0)
    throw Failure(Status::badOption, "option 'dim': expected NAME=K, found '" + argument + "'");
  return {name.str(), extent};
}

std::optional<int64_t> InputArguments::findDim(const rt::Manifest &manifest, size_t symbol) const {
  for (const std::string &argument : dims)
    if (auto [name, extent] = parseDim(argument); name == getSymbolName(manifest, symbol))
      return extent;
  return std::nullopt;
}

std::vector<int64_t> InputArguments::bindSymbols(const rt::Manifest &manifest, const Slots &slots) const {
  std::vector<int64_t> symbols(manifest.symbols.size() + 1, 1);
  for (size_t k = 0; k < slots.size(); ++k)
    for (size_t d = 0; slots[k].second && d < manifest.inputs[k].dims.size() && d < slots[k].first.dims.size(); ++d)
      if (int64_t symbol = 0; manifest.inputs[k].dims[d].isSymbol(symbol))
        symbols[static_cast<size_t>(symbol)] = slots[k].first.dims[d];
  for (const std::string &argument : dims) {
    auto [name, extent] = parseDim(argument);
    bool isKnown = false;
    for (size_t symbol = 0; symbol < manifest.symbols.size(); ++symbol)
      if (getSymbolName(manifest, symbol) == name) {
        symbols[symbol] = extent;
        isKnown = true;
      }
    if (!isKnown)
      throw Failure(Status::badOption, "option 'dim': the model has no symbol '" + name + "'");
  }
  return symbols;
}

std::vector<Tensor> InputArguments::collectFolder(const rt::Manifest &manifest, const std::string &folder) {
  InputArguments arguments;
  arguments.folder = folder;
  return arguments.collect(manifest);
}

std::vector<Tensor> InputArguments::collectRandom(const rt::Manifest &manifest, uint64_t index) const {
  InputArguments arguments = *this;
  arguments.seed += index;
  return arguments.collect(manifest);
}

std::vector<Tensor> InputArguments::collect(const rt::Manifest &manifest) const {
  Slots slots(manifest.inputs.size());
  std::vector<bool> isRandom(slots.size(), !needsFiles && folder.empty());
  readFiles(manifest, slots, isRandom);
  if (!folder.empty())
    readFolder(manifest, slots);
  std::vector<int64_t> symbols = bindSymbols(manifest, slots);
  std::vector<Tensor> inputs;
  std::string missing;
  uint64_t state = seed;
  for (size_t k = 0; k < slots.size(); ++k) {
    const rt::TensorInfo &info = manifest.inputs[k];
    if (isRandom[k] && !slots[k].second) {
      bool bad = false;
      std::vector<int64_t> extents;
      for (const rt::Expr &dim : info.dims)
        extents.push_back(dim.evaluate(symbols.data(), bad));
      slots[k] = {makeTensor(static_cast<int32_t>(info.dtype), bad ? std::vector<int64_t>{-1} : extents), true};
      fillRandom(slots[k].first, state);
    }
    if (!slots[k].second)
      missing += (missing.empty() ? "'" : ", '") + info.name + "'";
    inputs.push_back(std::move(slots[k].first));
  }
  if (!missing.empty())
    throw Failure(folder.empty() ? Status::badOption : Status::badFile,
                  folder.empty() ? "no value for input " + missing + "; use --input NAME=FILE or --input random" : "'" + folder + "' holds no input " + missing);
  return inputs;
}

} // namespace onager::cli
