// Kernels of oneDNN on one thread, by Google Benchmark, for kernels.py to set beside Onager's.
//
// Cases are arguments KIND:NUMBER,NUMBER...:
//   gemm_f32|gemm_bf16|gemm_u8s8:ROWS,DEPTH,COLUMNS
//   conv|depthwise:CHANNELS,OUT CHANNELS,EXTENT,WINDOW,STRIDE
//   softmax|layernorm:ROWS,COLUMNS
// Weights and images are in the layouts that oneDNN prefers; reordering them is not measured.
#include <algorithm>
#include <benchmark/benchmark.h>
#include <dnnl.hpp>
#include <random>
#include <sstream>
#include <unordered_map>

using namespace dnnl;

namespace {

using Type = memory::data_type;
using Tag = memory::format_tag;
using Numbers = std::vector<memory::dim>;
using Arguments = std::unordered_map<int, memory>;

struct Kernel {
  primitive run;
  Arguments arguments;
};

engine &getEngine() {
  static engine cpu(engine::kind::cpu, 0);
  return cpu;
}

/// Memory of small numbers, so that sums stay normal floats.
memory makeMemory(const memory::desc &desc) {
  memory made(desc, getEngine());
  std::minstd_rand random(1);
  auto *bytes = static_cast<uint8_t *>(made.get_data_handle());
  if (desc.data_type() == Type::f32)
    std::generate_n(reinterpret_cast<float *>(bytes), desc.get_size() / sizeof(float), [&] { return static_cast<float>(random() % 64) / 64 - 0.5F; });
  else
    std::generate_n(bytes, desc.get_size(), [&] { return static_cast<uint8_t>(random() % 60); });
  return made;
}

Kernel makeGemm(const Numbers &n, Type a, Type b, Type c) {
  matmul::desc desc({{n[0], n[1]}, a, Tag::ab}, {{n[1], n[2]}, b, Tag::any}, {{n[0], n[2]}, c, Tag::ab});
  matmul::primitive_desc pd(desc, getEngine());
  return {matmul(pd), {{DNNL_ARG_SRC, makeMemory(pd.src_desc())}, {DNNL_ARG_WEIGHTS, makeMemory(pd.weights_desc())}, {DNNL_ARG_DST, makeMemory(pd.dst_desc())}}};
}

Kernel makeConvolution(const Numbers &n, bool isDepthwise) {
  memory::dim pad = n[3] / 2, out = (n[2] + 2 * pad - n[3]) / n[4] + 1;
  Numbers filter = isDepthwise ? Numbers{n[0], 1, 1, n[3], n[3]} : Numbers{n[1], n[0], n[3], n[3]};
  convolution_forward::desc desc(prop_kind::forward_inference, algorithm::convolution_direct, {{1, n[0], n[2], n[2]}, Type::f32, Tag::any}, {filter, Type::f32, Tag::any},
                                 {{n[1]}, Type::f32, Tag::x}, {{1, n[1], out, out}, Type::f32, Tag::any}, {n[4], n[4]}, {pad, pad}, {pad, pad});
  convolution_forward::primitive_desc pd(desc, getEngine());
  return {convolution_forward(pd), {{DNNL_ARG_SRC, makeMemory(pd.src_desc())}, {DNNL_ARG_WEIGHTS, makeMemory(pd.weights_desc())}, {DNNL_ARG_BIAS, makeMemory(pd.bias_desc())},
                                    {DNNL_ARG_DST, makeMemory(pd.dst_desc())}}};
}

Kernel makeSoftmax(const Numbers &n) {
  memory::desc data({n[0], n[1]}, Type::f32, Tag::ab);
  softmax_forward::primitive_desc pd({prop_kind::forward_inference, data, 1}, getEngine());
  return {softmax_forward(pd), {{DNNL_ARG_SRC, makeMemory(data)}, {DNNL_ARG_DST, makeMemory(data)}}};
}

Kernel makeLayerNorm(const Numbers &n) {
  memory::desc data({n[0], n[1]}, Type::f32, Tag::ab), line({n[1]}, Type::f32, Tag::a);
  layer_normalization_forward::primitive_desc pd({prop_kind::forward_inference, data, 1e-5F, normalization_flags::use_scale | normalization_flags::use_shift}, getEngine());
  return {layer_normalization_forward(pd),
          {{DNNL_ARG_SRC, makeMemory(data)}, {DNNL_ARG_DST, makeMemory(data)}, {DNNL_ARG_SCALE, makeMemory(line)}, {DNNL_ARG_SHIFT, makeMemory(line)}}};
}

Kernel makeKernel(const std::string &kind, const Numbers &numbers) {
  if (kind == "gemm_f32")
    return makeGemm(numbers, Type::f32, Type::f32, Type::f32);
  if (kind == "gemm_bf16")
    return makeGemm(numbers, Type::bf16, Type::bf16, Type::bf16);
  if (kind == "gemm_u8s8")
    return makeGemm(numbers, Type::u8, Type::s8, Type::s32);
  if (kind == "conv" || kind == "depthwise")
    return makeConvolution(numbers, kind == "depthwise");
  if (kind == "softmax")
    return makeSoftmax(numbers);
  if (kind == "layernorm")
    return makeLayerNorm(numbers);
  throw std::invalid_argument("no kernel '" + kind + "'");
}

void runCase(benchmark::State &state, const std::string &text) {
  std::istringstream numbers(text.substr(text.find(':') + 1));
  Numbers parsed;
  for (std::string number; std::getline(numbers, number, ',');)
    parsed.push_back(std::stoll(number));
  Kernel kernel = makeKernel(text.substr(0, text.find(':')), parsed);
  stream order(getEngine());
  for (auto _ : state) {
    kernel.run.execute(order, kernel.arguments);
    order.wait();
  }
}

} // namespace

int main(int count, char **arguments) {
  benchmark::Initialize(&count, arguments);
  for (int k = 1; k < count; ++k)
    benchmark::RegisterBenchmark(arguments[k], runCase, std::string(arguments[k]));
  benchmark::RunSpecifiedBenchmarks();
}
