// Artifacts, up to where their code would be loaded: the footer, the ELF sections that `onager inspect` reads, the manifest, and the session that is
// made of one. Checksums are filled in, since no mutation finds them. The first byte chooses what the others are:
//
//   0 a whole file   1 a file's code, to which a footer is added   2 a manifest   3 a manifest, then 256 bytes of a file of weights
#include "onager-rt/api.h"
#include "runtime/core/manifest.h"
#include "tools/onager/ArtifactManifest.h"
#include "tools/onager/Cli.h"
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

using namespace onager;

static void expect(bool holds) {
  if (!holds)
    std::abort();
}

static void inspect(std::string_view file) {
  try {
    rt::Manifest manifest = cli::parseArtifact({file.data(), file.size()}, "x").levels[0].generic;
    expect(!rt::encode(manifest).empty());
  } catch (const cli::Failure &failure) {
    expect(failure.status == Status::badFile && *failure.what());
  }
}

/// Adds weights and a footer that describe the code.
static std::string addFooter(std::string code) {
  rt::Footer footer{rt::kFooterMagic, code.size(), rt::hashBytes(code.data(), code.size()), rt::kWeightAlignment, 0, 0};
  footer.footerHash = rt::hashBytes(&footer, offsetof(rt::Footer, footerHash));
  code.resize(rt::kWeightAlignment);
  return code + std::string(reinterpret_cast<const char *>(&footer), sizeof footer);
}

static int32_t runNothing(onager_run *run, int32_t) { return run->status; }

/// Uses a session of an arbitrary manifest with code that does nothing. No data is read or written, since nothing gives it a size.
static void useSession(onager_session *session) {
  onager_context *context = nullptr;
  expect(onager_context_create(session, &context) == ONAGER_OK);
  std::vector<onager_tensor> inputs(onager_session_inputs(session)), outputs(onager_session_outputs(session));
  std::vector<std::vector<int64_t>> dims(inputs.size());
  for (size_t k = 0; k < inputs.size(); ++k) {
    onager_info info{};
    info.size = sizeof info;
    expect(onager_session_input(session, k, &info) == ONAGER_OK);
    for (int32_t d = 0; d < info.rank; ++d)
      dims[k].push_back(info.dims[d] < 0 ? static_cast<int64_t>(1 + k) << (std::strlen(info.dim_names[d]) * 7 % 63) : info.dims[d]);
    inputs[k] = {sizeof(onager_tensor), info.dtype, info.rank, 0, nullptr, dims[k].data(), 0};
  }
  for (onager_tensor &output : outputs)
    output.size = sizeof output;
  uint64_t bytes = 0;
  onager_context_query_memory(context, inputs.data(), inputs.size(), &bytes);
  onager_context_prepare(context, inputs.data(), inputs.size(), outputs.data(), outputs.size());
  // Large shapes would only measure how fast memory is given.
  if (bytes < (1 << 24))
    onager_context_run(context, inputs.data(), inputs.size(), outputs.data(), outputs.size());
  onager_context_destroy(context);
}

static void openManifest(std::string_view bytes, const char *weightsPath) {
  rt::Manifest manifest;
  std::string error;
  auto *data = reinterpret_cast<const uint8_t *>(bytes.data());
  if (rt::decode(data, bytes.size(), manifest, error))
    expect(rt::encode(manifest) == bytes && manifest.work.print(manifest.symbols).size() > 0);
  else
    expect(!error.empty());
  onager_model model{};
  model.size = offsetof(onager_model, levels);
  model.abi = ONAGER_ABI_VERSION;
  model.manifest = data;
  model.manifest_bytes = bytes.size();
  model.main = runNothing;
  model.weights = weightsPath ? nullptr : "";
  onager_options options{};
  options.size = sizeof options;
  options.threads = 1;
  options.weights_path = weightsPath;
  onager_session *session = nullptr;
  if (onager_session_open_model(&model, nullptr, &options, &session) == ONAGER_OK)
    useSession(session);
  else
    expect(!session && *onager_last_error());
  onager_session_close(session);
}

/// A file of weights whose footer has a right checksum and, mostly, belongs to the manifest.
static void openWithWeights(std::string_view bytes) {
  size_t count = std::min<size_t>(bytes.size(), 256);
  std::string manifest(bytes.substr(count)), weights(bytes.substr(0, count));
  rt::WeightFooter footer{rt::kWeightFooterMagic, weights.size(), rt::hashBytes(manifest.data(), manifest.size()), 0};
  if (!weights.empty() && weights[0] == 1)
    footer.weightBytes += static_cast<uint8_t>(weights.back());
  footer.footerHash = rt::hashBytes(&footer, offsetof(rt::WeightFooter, footerHash));
  weights.append(reinterpret_cast<const char *>(&footer), !weights.empty() && weights[0] == 2 ? sizeof footer - 1 : sizeof footer);
  static const int file = memfd_create("weights", MFD_CLOEXEC);
  expect(file >= 0 && ftruncate(file, static_cast<off_t>(weights.size())) == 0 &&
         pwrite(file, weights.data(), weights.size(), 0) == static_cast<ssize_t>(weights.size()));
  openManifest(manifest, ("/proc/self/fd/" + std::to_string(file)).c_str());
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (!size)
    return -1;
  std::string bytes(reinterpret_cast<const char *>(data) + 1, size - 1);
  switch (data[0] & 3) {
  case 0: {
    rt::Footer footer{};
    uint64_t start = 0;
    if (bytes.size() >= sizeof footer) {
      std::memcpy(&footer, bytes.data() + bytes.size() - sizeof footer, sizeof footer);
      footer.footerHash = rt::hashBytes(&footer, offsetof(rt::Footer, footerHash));
      std::memcpy(bytes.data() + bytes.size() - sizeof footer, &footer, sizeof footer);
    }
    if (!rt::findArtifact(bytes.data(), bytes.size(), footer, start))
      expect(start <= bytes.size() && footer.codeBytes <= bytes.size() - start && footer.weightStart + footer.weightBytes <= bytes.size() - start);
    return inspect(bytes), 0;
  }
  case 1:
    if (bytes.size() <= rt::kWeightAlignment)
      inspect(addFooter(bytes));
    return 0;
  case 2:
    return openManifest(bytes, nullptr), 0;
  default:
    return openWithWeights(bytes), 0;
  }
}
