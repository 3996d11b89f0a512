// Samples that a language model draws itself, token by token (as LLM-QAT does, Liu et al. 2023): the first token is any, each further one is drawn by the probabilities that the model gives it.
#include "SampleRuns.h"
#include "tools/onager/Session.h"
#include <cmath>
#include <random>

namespace onager::cli {

namespace {

bool isInteger(const rt::TensorInfo &info) { return static_cast<int32_t>(info.dtype) == ONAGER_I64 || static_cast<int32_t>(info.dtype) == ONAGER_I32; }

bool isNamed(const rt::TensorInfo &info, const char *part) { return info.name.find(part) != std::string::npos; }

/// Fills tensors of integers of either width.
void setInteger(Tensor &tensor, size_t k, int64_t value) {
  if (tensor.dtype == ONAGER_I64)
    reinterpret_cast<int64_t *>(tensor.data.data())[k] = value;
  else
    reinterpret_cast<int32_t *>(tensor.data.data())[k] = static_cast<int32_t>(value);
}

class Drawing {
public:
  Drawing(const Artifact &artifact, const InputArguments &dims, int threads) : manifest(readManifest(artifact.path)), session(artifact.path, threads) {
    constexpr int64_t kLength = 64;
    findTokens();
    const rt::Expr &last = manifest.inputs[tokens].dims[1];
    isStatic = !last.isSymbol(lengthSymbol);
    bool bad = false;
    length = isStatic ? last.evaluate(nullptr, bad) : dims.findDim(manifest, static_cast<size_t>(lengthSymbol)).value_or(kLength);
  }

  std::map<std::string, Tensor> draw(uint64_t seed) {
    std::mt19937_64 engine(seed);
    int64_t count = 1;
    std::vector<std::vector<int64_t>> rows;
    std::vector<Tensor> inputs = makeInputs(isStatic ? length : 1, rows);
    rows.assign(static_cast<size_t>(inputs[tokens].dims[0]), {});
    for (int64_t k = 0; k < length; ++k, ++count) {
      inputs = makeInputs(isStatic ? length : std::max<int64_t>(k, 1), rows);
      session.bind(inputs);
      session.run();
      addTokens(session.copyOutputs()[logits], k, engine, rows);
    }
    inputs = makeInputs(length, rows);
    std::map<std::string, Tensor> sample;
    for (size_t k = 0; k < inputs.size(); ++k)
      sample.emplace(manifest.inputs[k].name, std::move(inputs[k]));
    return sample;
  }

private:
  void findTokens() {
    auto isTokens = [](const rt::TensorInfo &info) { return isInteger(info) && info.dims.size() == 2 && !isNamed(info, "mask") && !isNamed(info, "position") && !isNamed(info, "type"); };
    auto isLogits = [](const rt::TensorInfo &info) { return info.dtype == ONAGER_F32 && info.dims.size() == 3; };
    auto input = std::find_if(manifest.inputs.begin(), manifest.inputs.end(), isTokens);
    auto output = std::find_if(manifest.outputs.begin(), manifest.outputs.end(), isLogits);
    if (input == manifest.inputs.end() || output == manifest.outputs.end())
      throw Failure(Status::badOption, "option 'calibrate': self:N is for language models: expected an input of token numbers [batch, length] and an output of f32 [batch, length, tokens]");
    tokens = static_cast<size_t>(input - manifest.inputs.begin());
    logits = static_cast<size_t>(output - manifest.outputs.begin());
  }

  /// Inputs for so many tokens, of which `rows` has those that are drawn by now: masks of ones, positions in turn, caches that are empty.
  std::vector<Tensor> makeInputs(int64_t count, const std::vector<std::vector<int64_t>> &rows) const {
    std::vector<int64_t> symbols(manifest.symbols.size() + 1, 1);
    for (const rt::TensorInfo &info : manifest.inputs)
      for (size_t d = 1; d < info.dims.size(); ++d)
        if (int64_t symbol = 0; info.dims[d].isSymbol(symbol))
          symbols[static_cast<size_t>(symbol)] = isInteger(info) ? count : 0;
    if (!isStatic)
      symbols[static_cast<size_t>(lengthSymbol)] = count;
    std::vector<Tensor> inputs;
    for (const rt::TensorInfo &info : manifest.inputs) {
      std::vector<int64_t> dims;
      bool bad = false;
      for (const rt::Expr &dim : info.dims)
        dims.push_back(dim.evaluate(symbols.data(), bad));
      if (bad)
        throw Failure(Status::badOption, "option 'calibrate': self:N cannot tell the dims of input '" + info.name + "'");
      inputs.push_back(makeTensor(static_cast<int32_t>(info.dtype), dims));
      std::fill(inputs.back().data.begin(), inputs.back().data.end(), std::remove_reference_t<decltype(inputs.back().data[0])>{});
      for (size_t k = 0; isInteger(info) && k < inputs.back().size(); ++k)
        setInteger(inputs.back(), k, isNamed(info, "mask") ? 1 : isNamed(info, "position") ? static_cast<int64_t>(k) % dims.back() : 0);
    }
    for (size_t r = 0; r < rows.size(); ++r)
      for (size_t k = 0; k < rows[r].size() && static_cast<int64_t>(k) < count; ++k)
        setInteger(inputs[tokens], r * static_cast<size_t>(count) + k, rows[r][k]);
    return inputs;
  }

  /// Draws the token behind the first `position` of each row.
  void addTokens(const Tensor &scores, int64_t position, std::mt19937_64 &engine, std::vector<std::vector<int64_t>> &rows) const {
    auto count = static_cast<size_t>(scores.dims[2]);
    for (size_t r = 0; r < rows.size(); ++r) {
      // 53 bits make a number from 0 to 1 that is the same everywhere.
      double chance = std::ldexp(static_cast<double>(engine() >> 11), -53);
      if (position == 0) {
        rows[r].push_back(static_cast<int64_t>(chance * static_cast<double>(count)));
        continue;
      }
      const float *row = reinterpret_cast<const float *>(scores.data.data()) + (r * static_cast<size_t>(scores.dims[1]) + static_cast<size_t>(position) - 1) * count;
      rows[r].push_back(choose(row, count, chance));
    }
  }

  static int64_t choose(const float *scores, size_t count, double chance) {
    double most = *std::max_element(scores, scores + count), sum = 0;
    std::vector<double> weights;
    for (size_t k = 0; k < count; ++k) {
      weights.push_back(std::exp(static_cast<double>(scores[k]) - most));
      sum += weights.back();
    }
    double left = chance * sum;
    for (size_t k = 0; k < count; ++k)
      if ((left -= weights[k]) < 0)
        return static_cast<int64_t>(k);
    return static_cast<int64_t>(count) - 1;
  }

  rt::Manifest manifest;
  Session session;
  size_t tokens = 0, logits = 0;
  int64_t lengthSymbol = 0, length = 0;
  bool isStatic = false;
};

} // namespace

void SampleRuns::drawFrom(const std::string &path) {
  if (!toDraw)
    return;
  Artifact artifact = compileFile(path);
  Drawing drawing(artifact, random, threads);
  for (size_t k = 0; k < toDraw; ++k) {
    showProgress("drawing: sample " + std::to_string(k + 1) + " of " + std::to_string(toDraw));
    drawn.push_back(drawing.draw(k + 1));
  }
}

} // namespace onager::cli
