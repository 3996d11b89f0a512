// Opening and running forms, and whether they fit together.
#include "Side.h"
#include "Exposure.h"
#include "OnnxRuntime.h"
#include "lib/Compress/ModelGraph.h"
#include "tools/onager/Session.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/MemoryBuffer.h"

namespace onager::cli {

std::string Form::describe() const {
  if (kind == Kind::onnxRuntime)
    return "ONNX Runtime";
  return kind == Kind::artifact ? source.shown : source.shown + " at -O" + std::to_string(options.optLevel);
}

Data::Data(const InputArguments &inputs, const std::string &folder, std::optional<size_t> only) : inputs(inputs), only(only) {
  if (folder.empty()) {
    if (only)
      throw Failure(Status::badOption, "option 'sample': expected --samples, whose sample it is");
    return;
  }
  samples.emplace(folder, inputs);
  if (only && *only >= samples->size())
    throw Failure(Status::badOption, "option 'sample': expected less than " + std::to_string(samples->size()) + ", the number of samples, found " + std::to_string(*only));
}

std::vector<Tensor> Data::load(size_t index, const rt::Manifest &manifest) const { return samples ? samples->load(getNumber(index), manifest) : inputs.collect(manifest); }

Data Data::pick(size_t index) const {
  Data copy = *this;
  if (samples)
    copy.only = getNumber(index);
  return copy;
}

static Artifact provide(const Form &form, CompileResult *told) {
  if (form.kind == Form::Kind::artifact)
    return provideArtifact(form.source, CompilerArguments());
  return compileSource(form.source, form.options, told);
}

CompiledSide::CompiledSide(const Form &form, int threads, CompileResult *told)
    : artifact(provide(form, told)), manifest(readManifest(artifact.path)), session(std::make_unique<Session>(artifact.path, threads)),
      isExposing(form.isExposing) {
  for (size_t k = 0; k < manifest.inputs.size(); ++k)
    order.push_back(k);
  for (const rt::TensorInfo &info : manifest.outputs)
    outputs.push_back(info.name);
}

CompiledSide::~CompiledSide() = default;

static std::string listNames(const std::vector<rt::TensorInfo> &infos) {
  std::string names;
  for (const rt::TensorInfo &info : infos)
    names += (names.empty() ? "'" : ", '") + info.name + "'";
  return names.empty() ? "none" : names;
}

/// The extents that are numbers, with ? for others.
static std::string printShape(const rt::TensorInfo &info) {
  std::string text = std::string(getTypeName(static_cast<int32_t>(info.dtype))) + " [";
  for (size_t k = 0; k < info.dims.size(); ++k) {
    int64_t extent = 0;
    text += (k ? ", " : "") + (info.dims[k].isConstant(extent) ? std::to_string(extent) : "?");
  }
  return text + "]";
}

/// True where a tensor may have both signatures.
static bool areCompatible(const rt::TensorInfo &a, const rt::TensorInfo &b) {
  if (a.dtype != b.dtype || a.dims.size() != b.dims.size())
    return false;
  for (size_t k = 0; k < a.dims.size(); ++k)
    if (int64_t mine = 0, other = 0; a.dims[k].isConstant(mine) && b.dims[k].isConstant(other) && mine != other)
      return false;
  return true;
}

/// Finds a tensor of the signature by its name; fails where there is none, or another.
static size_t findAlike(const std::vector<rt::TensorInfo> &infos, const rt::TensorInfo &wanted, const std::string &kind, const std::string &shown, const std::string &leaderShown) {
  auto found = llvm::find_if(infos, [&](const rt::TensorInfo &info) { return info.name == wanted.name; });
  std::string what = kind + " '" + wanted.name + "': expected " + printShape(wanted) + " as in " + leaderShown + ", found ";
  if (found == infos.end())
    throw Failure(Status::badFile, what + "none in " + shown + ", which has " + listNames(infos));
  if (!areCompatible(*found, wanted))
    throw Failure(Status::badFile, what + printShape(*found) + " in " + shown);
  return static_cast<size_t>(found - infos.begin());
}

void CompiledSide::follow(const CompiledSide &leader, const std::string &shown, const std::string &leaderShown) {
  for (const rt::TensorInfo &info : leader.manifest.inputs)
    findAlike(manifest.inputs, info, "input", shown, leaderShown);
  order.clear();
  for (const rt::TensorInfo &info : manifest.inputs)
    order.push_back(findAlike(leader.manifest.inputs, info, "input", leaderShown, shown));
  for (const rt::TensorInfo &info : leader.manifest.outputs)
    if (!isExposing)
      findAlike(manifest.outputs, info, "output", shown, leaderShown);
}

Batch CompiledSide::run(Batch &inputs) {
  Batch results;
  for (std::vector<Tensor> &sample : inputs) {
    std::vector<Tensor> mine;
    for (size_t place : order)
      mine.push_back(sample[place]);
    session->bind(mine);
    session->run();
    results.push_back(session->copyOutputs());
  }
  return results;
}

/// True for models in ONNX's text form, which begins with properties in angle brackets.
static bool isText(const ModelSource &source) {
  std::string head = source.bytes.substr(0, 256);
  if (!source.path.empty()) {
    auto file = llvm::MemoryBuffer::getFile(source.path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
    head = file ? (*file)->getBuffer().take_front(256).str() : "";
  }
  return llvm::StringRef(head).ltrim().starts_with("<");
}

namespace {
/// ONNX Runtime in a process of its own for each batch.
class OnnxRuntimeSide : public Side {
public:
  OnnxRuntimeSide(const Form &form, const CompiledSide &leader) : source(form.source) {
    outputs = leader.getOutputs();
    if (isText(source)) {
      source.bytes = openGraph(source)->serialize();
      source.path.clear();
    }
    for (const rt::TensorInfo &info : leader.getManifest().inputs)
      inputNames.push_back(info.name);
  }
  /// A process takes longer to start than most models to run.
  size_t getBatch() const override { return 8; }
  Batch run(Batch &inputs) override { return runOnnxRuntime(source, inputNames, inputs, outputs); }

private:
  ModelSource source;
  std::vector<std::string> inputNames;
};
} // namespace

std::unique_ptr<Side> openBeside(const Form &form, const CompiledSide &leader, const std::string &leaderShown, int threads) {
  if (form.kind == Form::Kind::onnxRuntime)
    return std::make_unique<OnnxRuntimeSide>(form, leader);
  auto side = std::make_unique<CompiledSide>(form, threads);
  side->follow(leader, form.describe(), leaderShown);
  return side;
}

} // namespace onager::cli
