// Writes what Artifact.h describes: links, streams weights behind the code, renames when all is written.
#include "lib/Export/LLVMToArtifact/Artifact.h"
#include "lib/Export/LLVMToArtifact/Link.h"
#include "lib/Export/LLVMToArtifact/ObjectFile.h"
#include "lib/Export/LLVMToArtifact/OutputFile.h"
#include "runtime/core/manifest.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Path.h"
#include <memory>

extern "C" const char onager_runner_begin[], onager_runner_end[];

using namespace llvm;

namespace onager {

static bool isLinkedLater(const Product &product) { return product.emit == "obj" || product.emit == "lib"; }

std::string getSymbolPrefix(const Product &product) { return isLinkedLater(product) ? product.modelName : "onager"; }

bool refersToWeights(const Product &product) { return isLinkedLater(product) && !product.separateWeights && product.weightBytes; }

namespace {

/// Writes one product's files.
class ProductWriter {
public:
  ProductWriter(const Product &product, WeightSource weights, std::string &error) : product(product), weights(weights), error(error) {}

  bool write(ArrayRef<ArrayRef<char>> objects) {
    SmallVector<char, 0> linked = isLinkedLater(product) ? linkRelocatable(objects, product.modelName, error) : linkSharedObject(objects, product.modelName, product.isSanitized, error);
    if (linked.empty())
      return false;
    bool isWritten = isLinkedLater(product) ? writeObject(linked) && writeHeader() : writeArtifact(linked);
    if (!isWritten || (product.separateWeights && !writeWeights()))
      return false;
    for (std::unique_ptr<OutputFile> &file : files)
      if (!file->commit(error))
        return false;
    return true;
  }

private:
  /// Makes a file that is committed with the others; null where it cannot be made.
  OutputFile *create(const std::string &path, unsigned mode) {
    auto file = std::make_unique<OutputFile>(path, mode);
    if (!file->open(error))
      return nullptr;
    files.push_back(std::move(file));
    return files.back().get();
  }

  /// Writes the weights; a full disk ends it before the next one is computed.
  bool stream(OutputFile &file) {
    bool isComplete = weights([&](ArrayRef<char> bytes) {
      file.stream().write(bytes.data(), bytes.size());
      return !file.stream().has_error();
    });
    if (file.stream().has_error())
      return file.close(error);
    if (!isComplete)
      error = "the weights could not be computed";
    return isComplete;
  }

  bool writeArtifact(ArrayRef<char> code) {
    OutputFile *file = create(product.path, 0755);
    if (!file)
      return false;
    raw_ostream &out = file->stream();
    if (product.emit == "exe") {
      size_t runnerBytes = onager_runner_end - onager_runner_begin;
      out.write(onager_runner_begin, runnerBytes);
      out.write_zeros(alignTo(runnerBytes, rt::kWeightAlignment) - runnerBytes);
    }
    out.write(code.data(), code.size());
    rt::Footer footer{rt::kFooterMagic, code.size(), rt::hashBytes(code.data(), code.size()), alignTo(code.size(), rt::kWeightAlignment),
                      product.separateWeights ? 0 : product.weightBytes, 0};
    out.write_zeros(footer.weightStart - code.size());
    if (footer.weightBytes && !stream(*file))
      return false;
    footer.footerHash = rt::hashBytes(&footer, offsetof(rt::Footer, footerHash));
    out.write(reinterpret_cast<const char *>(&footer), sizeof footer);
    return file->close(error);
  }

  bool writeWeights() {
    OutputFile *file = create(product.path + ".weights", 0644);
    if (!file || !stream(*file))
      return false;
    rt::WeightFooter footer{rt::kWeightFooterMagic, product.weightBytes, product.manifestHash, 0};
    footer.footerHash = rt::hashBytes(&footer, offsetof(rt::WeightFooter, footerHash));
    file->stream().write(reinterpret_cast<const char *>(&footer), sizeof footer);
    return file->close(error);
  }

  bool writeObject(ArrayRef<char> object) {
    // A library is made of the finished object, which then is only on its way.
    OutputFile inner(product.path, 0644);
    bool isLibrary = product.emit == "lib";
    if (isLibrary && !inner.open(error))
      return false;
    OutputFile *file = create(product.path, 0644);
    if (!file)
      return false;
    OutputFile &target = isLibrary ? inner : *file;
    if (!refersToWeights(product))
      target.stream().write(object.data(), object.size());
    else if (!appendWeights(object, product.modelName, product.weightBytes, weights, target.stream(), error))
      return false;
    if (!target.close(error))
      return false;
    if (!isLibrary)
      return true;
    return writeStaticLibrary(inner.temporaryPath(), product.modelName + ".o", file->stream(), error) && file->close(error);
  }

  bool writeHeader() {
    SmallString<128> path(sys::path::parent_path(product.path));
    sys::path::append(path, product.modelName + ".h");
    OutputFile *file = create(path.str().str(), 0644);
    if (!file)
      return false;
    file->stream() << product.header;
    return file->close(error);
  }

  const Product &product;
  WeightSource weights;
  std::string &error;
  SmallVector<std::unique_ptr<OutputFile>> files;
};

} // namespace

bool writeProduct(const Product &product, ArrayRef<ArrayRef<char>> objects, WeightSource weights, std::string &error) {
  return ProductWriter(product, weights, error).write(objects);
}

} // namespace onager
