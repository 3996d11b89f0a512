// Samples in folders.
#include "Samples.h"
#include "llvm/ADT/StringRef.h"
#include <algorithm>
#include <filesystem>

using llvm::StringRef;

namespace onager::cli {

Samples::Samples(const std::string &folder, const InputArguments &random) : random(random) {
  if (StringRef number(folder); number.consume_front("random:")) {
    if (number.getAsInteger(10, count) || count == 0 || count > 10'000)
      throw Failure(Status::badOption, "samples: expected random:N with N from 1 to 10000, found '" + folder + "'");
    return;
  }
  std::error_code error;
  for (const auto &entry : std::filesystem::directory_iterator(folder, error)) {
    std::string kind = entry.path().extension();
    if (entry.is_directory() || kind == ".npz" || kind == ".npy" || kind == ".pb")
      paths.push_back(entry.path());
  }
  if (error)
    throw Failure(Status::badFile, "cannot read the folder '" + folder + "': " + error.message());
  if (paths.empty())
    throw Failure(Status::badFile, "'" + folder + "' holds no samples: no .npz, .npy or .pb file and no folder");
  std::sort(paths.begin(), paths.end());
  count = paths.size();
}

static std::vector<Tensor> readNamed(const std::string &path, const rt::Manifest &manifest) {
  auto arrays = readArchive(path);
  std::vector<Tensor> inputs;
  for (const rt::TensorInfo &info : manifest.inputs) {
    auto found = std::find_if(arrays.begin(), arrays.end(), [&](const auto &array) { return array.first == info.name; });
    if (found == arrays.end())
      throw Failure(Status::badFile, "'" + path + "' holds no input '" + info.name + "'");
    inputs.push_back(std::move(found->second));
    adaptType(inputs.back(), static_cast<int32_t>(info.dtype), "input '" + info.name + "' of '" + path + "'");
  }
  return inputs;
}

std::vector<Tensor> Samples::load(size_t index, const rt::Manifest &manifest) const {
  if (isRandom())
    return random.collectRandom(manifest, index);
  const std::string &path = paths[index];
  if (std::filesystem::is_directory(path))
    return InputArguments::collectFolder(manifest, path);
  if (StringRef(path).ends_with(".npz"))
    return readNamed(path, manifest);
  if (manifest.inputs.size() != 1)
    throw Failure(Status::badFile, "'" + path + "' is one array, and the model has " + std::to_string(manifest.inputs.size()) + " inputs: expected an archive .npz or a folder");
  std::vector<Tensor> inputs{readTensor(path)};
  adaptType(inputs[0], static_cast<int32_t>(manifest.inputs[0].dtype), "'" + path + "'");
  return inputs;
}

} // namespace onager::cli
