// Principal components of residual streams, by what norms give on the samples.
#include "GramRuns.h"
#include "Prune.h"
#include "lib/Compress/Slice/Slicing.h"
#include <cmath>

namespace onager::cli {

using compress::Stream;

/// Rows as the norm gives them, before its scale and bias.
static std::vector<float> normalizeRows(const Tensor &tensor, const compress::Norm &norm) {
  const auto *x = reinterpret_cast<const float *>(tensor.data.data());
  auto width = static_cast<size_t>(norm.width);
  std::vector<float> rows(tensor.size() / width * width);
  for (size_t begin = 0; begin < rows.size(); begin += width) {
    double mean = 0, squares = 0;
    for (size_t k = begin; norm.isCentred && k < begin + width; ++k)
      mean += static_cast<double>(x[k]) / static_cast<double>(width);
    for (size_t k = begin; k < begin + width; ++k)
      squares += (static_cast<double>(x[k]) - mean) * (static_cast<double>(x[k]) - mean) / static_cast<double>(width);
    double factor = 1 / std::sqrt(squares + norm.epsilon);
    for (size_t k = begin; k < begin + width && std::isfinite(factor); ++k)
      rows[k] = static_cast<float>((static_cast<double>(x[k]) - mean) * factor);
  }
  return rows;
}

namespace {

class StreamSlicer {
public:
  StreamSlicer(compress::ModelGraph &model, const SampleRuns &runs, bool hasOwnBases, compress::Pruning &pruning) : model(model), runs(runs), hasOwnBases(hasOwnBases), pruning(pruning) {}

  void run(const std::vector<Stream> &streams) {
    std::map<std::string, compress::Gram> grams = measureGrams(streams);
    compress::SlicedLayers layers;
    for (size_t k = 0; k < streams.size(); ++k)
      slice(streams[k], grams, pruning.streams[k], layers);
    pruning.slices.insert(pruning.slices.end(), layers.reads.begin(), layers.reads.end());
    pruning.turned = std::move(layers.turned);
    pruning.hasOwnBases = hasOwnBases;
  }

private:
  /// Of what each norm gives, by the value that it reads.
  std::map<std::string, compress::Gram> measureGrams(const std::vector<Stream> &streams) const {
    std::map<std::string, const compress::Norm *> norms;
    for (const Stream &stream : streams)
      for (const compress::Norm &norm : stream.norms)
        norms.try_emplace(norm.input, &norm);
    std::vector<std::string> values;
    for (const auto &[value, norm] : norms)
      values.push_back(value);
    std::map<std::string, Grams> sums;
    GramRuns products(runs);
    runs.run(model.serializePart(values), runs.getCalibration(), "what streams hold", [&](const rt::Manifest &manifest, const std::vector<Tensor> &, const std::vector<Tensor> &outputs) {
      for (size_t k = 0; k < outputs.size(); ++k) {
        const compress::Norm &norm = *norms.at(manifest.outputs[k].name);
        std::vector<float> rows = normalizeRows(outputs[k], norm);
        auto width = static_cast<size_t>(norm.width);
        if (!rows.empty())
          products.add(rows.data(), nullptr, rows.size() / width, width, sums[norm.input]);
      }
    });
    std::map<std::string, compress::Gram> grams;
    for (const auto &[value, norm] : norms) {
      if (sums[value].own.values.empty())
        throw Failure(Status::badFile, "the samples have no row of value '" + value + "': the principal components of a stream need some");
      grams[value] = std::move(sums[value].own);
    }
    return grams;
  }

  void slice(const Stream &stream, const std::map<std::string, compress::Gram> &grams, compress::SlicedStream &told, compress::SlicedLayers &layers) {
    std::map<std::string, compress::Rotation> bases;
    auto kept = static_cast<size_t>(told.kept);
    compress::Gram sum;
    for (const compress::Norm &norm : stream.norms) {
      const compress::Gram &own = grams.at(norm.input);
      if (hasOwnBases && !bases.count(norm.input))
        bases[norm.input] = compress::findComponents(own, kept);
      sum.values.resize(own.values.size());
      sum.terms = own.terms;
      for (size_t k = 0; k < own.values.size(); ++k)
        sum.values[k] += own.values[k];
    }
    if (!hasOwnBases)
      bases[stream.getName()] = compress::findComponents(sum, kept);
    for (const compress::Norm &norm : stream.norms)
      told.energies.emplace_back(norm.input, compress::measureEnergy(grams.at(norm.input), hasOwnBases ? bases.at(norm.input) : bases.begin()->second));
    compress::sliceStream(model, stream, bases, layers);
  }

  compress::ModelGraph &model;
  const SampleRuns &runs;
  bool hasOwnBases;
  compress::Pruning &pruning;
};

void needData(const SampleRuns &runs) {
  if (!runs.hasData())
    throw Failure(Status::badOption, "option 'prune': hidden looks for the directions of the residual stream that hold least, and needs data: --calibrate DIR");
}

} // namespace

void sliceStreams(compress::ModelGraph &model, double share, bool hasOwnBases, const SampleRuns &runs, compress::Pruning &pruning) {
  needData(runs);
  compress::splitSkips(model);
  std::vector<Stream> streams, fit;
  streams = compress::findStreams(model);
  if (streams.empty())
    throw Failure(Status::refused, "option 'prune': hidden: the model has no residual stream, which additions carry, layers write and norms read");
  for (Stream &stream : streams) {
    if (!stream.obstacle.empty()) {
      pruning.obstacles.push_back("the stream of '" + stream.getName() + "' keeps its width: " + stream.obstacle);
      continue;
    }
    pruning.streams.push_back({stream.getName(), stream.getWidth(), compress::countKept(stream.getWidth(), share), {}});
    fit.push_back(std::move(stream));
  }
  if (fit.empty())
    throw Failure(Status::refused, "option 'prune': hidden: " + pruning.obstacles.front());
  StreamSlicer(model, runs, hasOwnBases, pruning).run(fit);
}

void repeatStreams(compress::ModelGraph &model, const SampleRuns &runs, compress::Pruning &pruning) {
  if (pruning.streams.empty())
    return;
  needData(runs);
  compress::splitSkips(model);
  std::vector<Stream> found = compress::findStreams(model), streams;
  for (const compress::SlicedStream &wanted : pruning.streams) {
    auto stream = std::find_if(found.begin(), found.end(), [&](const Stream &own) { return own.getName() == wanted.value && own.getWidth() == wanted.width && own.obstacle.empty(); });
    if (stream == found.end())
      throw Failure(Status::badFile, "the recipe: pruning: the model has no stream '" + wanted.value + "' of width " + std::to_string(wanted.width) + " that can be rotated");
    streams.push_back(*stream);
  }
  StreamSlicer(model, runs, pruning.hasOwnBases, pruning).run(streams);
}

} // namespace onager::cli
