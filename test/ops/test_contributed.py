"""Operators of com.microsoft on tensors, and those that the default domain had once, against ONNX Runtime."""
import numpy as np
import pytest
from onnx import helper

from support.seeds import get_seed
from support.single import compare_node, make_model, run_reference


@pytest.fixture
def random():
    return np.random.default_rng(get_seed())


def _normal(random, *shape) -> np.ndarray:
    return random.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("axis", [0, 2, 3, -1, -4])
@pytest.mark.parametrize("fixed", [(), (1,)])
def test_expand_dims(axis, fixed, random):
    compare_node("ExpandDims", [_normal(random, 2, 3, 4), np.array(axis, np.int32)], fixed=fixed)


@pytest.mark.parametrize("dim, size, step", [(-1, 3, 1), (0, 2, 2), (1, 5, 3)])
def test_unfold(dim, size, step, random):
    compare_node("UnfoldTensor", [_normal(random, 4, 9, 6)], dim=dim, size=size, step=step)


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_distances(metric, dtype, random):
    compare_node("CDist", [random.standard_normal((5, 7)).astype(dtype), random.standard_normal((3, 7)).astype(dtype)], metric=metric)


@pytest.mark.parametrize("dtype, rtol", [(np.float32, 1e-3), (np.float64, 1e-8), (np.float16, 2e-2)])
@pytest.mark.parametrize("batch, size", [((), 1), ((2, 3), 4), ((2,), 9)])
def test_inverse(dtype, rtol, batch, size, random):
    x = (random.standard_normal((*batch, size, size)) + 4 * np.eye(size)).astype(dtype)
    compare_node("Inverse", [x], rtol=rtol, atol=rtol)


@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.int64, np.uint64, np.float32, np.float64])
@pytest.mark.parametrize("positive", [0, 1])
def test_hash(dtype, positive, random):
    x = random.integers(0, 1 << 31, (3, 4)).astype(dtype) if dtype not in (np.float32, np.float64) else random.standard_normal((3, 4)).astype(dtype)
    compare_node("MurmurHash3", [x], positive=positive, seed=42)


@pytest.mark.parametrize("positive", [0, 1])
def test_hash_of_texts(positive):
    compare_node("MurmurHash3", [np.array([["", "a", "ab"], ["abc", "abcd", "naïve text"]], dtype=object)], positive=positive, seed=7)


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("length", [1, 2, 9])
def test_repeated_ngrams(size, length, random):
    compare_node("NGramRepeatBlock", [random.integers(0, 3, (4, length)), _normal(random, 4, 3)], ngram_size=size)


@pytest.mark.parametrize("shape", [(5, 8), (1, 7, 4), (1, 1)])
def test_time_warping(shape, random):
    compare_node("DynamicTimeWarping", [random.random(shape).astype(np.float32)])


@pytest.mark.parametrize("predicted", [None, [2, 3, 1, 9, 9]])
def test_bifurcation(predicted):
    tokens = [np.array(values, np.int64) for values in ([1, 5, 2, 3, 4, 2, 3], [1, 5], [3])]
    compare_node("BifurcationDetector", [*tokens, None if predicted is None else np.array(predicted, np.int64)], 2, min_ngram_size=1, max_ngram_size=3)


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize("size", [(4, 5), (1, 1)])
@pytest.mark.parametrize("fixed", [(), (3,)])
def test_crop_and_resize(mode, size, fixed, random):
    regions = np.array([[0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], [-0.3, 0.4, 0.6, 1.3]], np.float32)
    inputs = [_normal(random, 2, 3, 7, 6), regions, np.array([1, 0, 1], np.int32), np.array(size, np.int32)]
    compare_node("CropAndResize", inputs, fixed=fixed, mode=mode, extrapolation_value=0.5)


@pytest.mark.parametrize("segments", [False, True])
@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("positions", [False, True])
def test_embedding(segments, mask, positions, random):
    ids = random.integers(0, 9, (2, 4)).astype(np.int32)
    inputs = [ids, ids % 2 if segments else None, _normal(random, 9, 8), _normal(random, 6, 8), _normal(random, 2, 8) if segments else None, _normal(random, 8), _normal(random, 8)]
    inputs += [np.array([[1, 1, 0, 0], [1, 1, 1, 0]], np.int32) if mask else None, np.array([[1, 3, 0, 2]] * 2, np.int32) if positions else None]
    while inputs[-1] is None:
        inputs.pop()
    compare_node("EmbedLayerNormalization", inputs, ["a", "b", "c"], fixed=(2, 3, 4, 5, 6))


@pytest.mark.parametrize("segments", [False, True])
def test_quantised_embedding(segments, random):
    def numbers(*shape):
        return random.integers(0, 256, shape).astype(np.uint8)

    ids = random.integers(0, 9, (2, 4)).astype(np.int32)
    tables = [numbers(9, 8), numbers(6, 8), numbers(2, 8) if segments else None, numbers(8), numbers(8)]
    scales = [np.float32(0.03) if k != 2 or segments else None for k in range(5)]
    zeros = [np.uint8(100 + k) if k != 2 or segments else None for k in range(5)]
    inputs = [ids, ids % 2 if segments else None, *tables, np.ones((2, 4), np.int32), *scales, *zeros]
    compare_node("QEmbedLayerNormalization", inputs, 2, fixed=tuple(k for k in range(2, 18) if k != 7))


def test_words(random):
    words = np.array([[3, 4, 5, 0, 0, 0], [1, 0, 0, 0, 0, 0], [2, 2, 2, 2, 2, 2]], np.int32)
    compare_node("WordConvEmbedding", [words, _normal(random, 5, 1, 3, 4), _normal(random, 5), _normal(random, 9, 4)], fixed=(1, 2, 3))


@pytest.mark.parametrize("moved", [(0, 0), (1, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize("swapped", [(0, 0), (1, 0), (0, 1)])
def test_fused_product(moved, swapped, random):
    a = {(0, 0): (2, 3, 4, 5), (1, 0): (4, 2, 3, 5), (0, 1): (2, 3, 5, 4), (1, 1): (5, 2, 3, 4)}[moved[0], swapped[0]]
    b = {(0, 0): (2, 3, 5, 6), (1, 0): (5, 2, 3, 6), (0, 1): (2, 3, 6, 5), (1, 1): (6, 2, 3, 5)}[moved[1], swapped[1]]
    compare_node("FusedMatMul", [_normal(random, *a), _normal(random, *b)], alpha=0.5, transBatchA=moved[0], transBatchB=moved[1], transA=swapped[0], transB=swapped[1])


@pytest.mark.parametrize("activation, attributes", [("Relu", {}), ("Sigmoid", {}), ("Tanh", {}), ("LeakyRelu", {"activation_alpha": 0.2}), ("Elu", {"activation_alpha": 0.7}),
                                                    ("Selu", {"activation_alpha": 1.5, "activation_gamma": 1.1}), ("HardSigmoid", {"activation_alpha": 0.3, "activation_beta": 0.4}),
                                                    ("Softplus", {}), ("Softsign", {}), ("ThresholdedRelu", {"activation_alpha": 0.5}),
                                                    ("ParametricSoftplus", {"activation_alpha": 0.5, "activation_beta": 2.0})])
def test_fused_gemm(activation, attributes, random):
    compare_node("FusedGemm", [_normal(random, 4, 5), _normal(random, 6, 5), _normal(random, 6)], activation=activation, transB=1, alpha=0.7, beta=1.3, **attributes)


@pytest.mark.parametrize("activation, params", [("Relu", None), ("Tanh", None), ("Sigmoid", None), ("LeakyRelu", [0.1]), ("Clip", [-0.5, 0.7]), ("HardSigmoid", [0.3, 0.4])])
@pytest.mark.parametrize("added", [False, True])
def test_fused_convolution(activation, params, added, random):
    inputs = [_normal(random, 2, 4, 7, 7), _normal(random, 6, 2, 3, 3), _normal(random, 6)] + ([_normal(random, 2, 6, 7, 7)] if added else [])
    attributes = {"activation_params": params} if params else {}
    compare_node("FusedConv", inputs, fixed=(1, 2), activation=activation, group=2, pads=[1, 1, 1, 1], rtol=1e-3, atol=1e-4, **attributes)


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_gather_of_packed_blocks(bits, zero, index, random):
    rows, inner, block = 6, 64, 16
    data = random.integers(0, 256, (rows, inner * bits // 8)).astype(np.uint8)
    scales = random.random((rows, inner // block)).astype(np.float32)
    zeros = random.integers(0, 256, (rows, (inner // block * bits + 7) // 8)).astype(np.uint8) if zero else None
    indices = np.array([[0, 5, -1], [2, 3, 7]]).astype(index)
    compare_node("GatherBlockQuantized", [data, indices, scales, zeros][: 4 if zero else 3], fixed=(0, 2, 3), bits=bits, block_size=block, quantize_axis=1, gather_axis=0)


OLD = [helper.make_opsetid("", 7)]


@pytest.mark.parametrize("op, attributes", [("Affine", {"alpha": 2.0, "beta": 0.5}), ("ParametricSoftplus", {"alpha": 2.0, "beta": 0.5}), ("ScaledTanh", {"alpha": 2.0, "beta": 0.5}),
                                            ("Scale", {"scale": 0.3}), ("ThresholdedRelu", {"alpha": 0.4})])
def test_old_activations(op, attributes, random):
    compare_node(op, [_normal(random, 2, 3, 4)], domain="", opsets=[helper.make_opsetid("", 10)] if op == "ThresholdedRelu" else OLD, **attributes)


def test_old_images(random):
    x = _normal(random, 2, 3, 6, 7)
    compare_node("ImageScaler", [x], domain="", opsets=OLD, symbolic=False, scale=0.5, bias=[1.0, 2.0, 3.0])
    compare_node("Crop", [x], domain="", opsets=OLD, border=[1, 2, 1, 0])
    compare_node("Crop", [x], domain="", opsets=OLD, border=[1, 2, 0, 0], scale=[3, 4])
    compare_node("MeanVarianceNormalization", [x], domain="", opsets=[helper.make_opsetid("", 12)], axes=[0, 2, 3])
    limits = [np.array(values, np.int64) for values in ([1, -4], [5, 1000], [2, 3])]
    compare_node("DynamicSlice", [x, *limits], domain="", opsets=OLD)


@pytest.mark.parametrize("shape, spatial", [((3, 2, 4), 0), ((3, 2, 4), 1)])
def test_old_batch_normalisation(shape, spatial, random):
    size = (2,) if spatial else shape[1:]
    inputs = [_normal(random, *shape), *[_normal(random, *size) for _ in range(3)], random.random(size).astype(np.float32) + 0.5]
    compare_node("BatchNormalization", inputs, domain="", opsets=OLD, spatial=spatial)


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_grid_sample(mode, padding, random):
    grid = (random.random((2, 4, 5, 2)) * 2.6 - 1.3).astype(np.float32)
    compare_node("GridSample", [_normal(random, 2, 3, 6, 7), grid], mode=mode, padding_mode=padding, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("shape, attributes", [((2, 3, 9), {"kernel_shape": [3], "strides": [2], "pads": [1, 1]}), ((2, 3, 7, 8), {"kernel_shape": [2, 3], "pads": [1, 1, 0, 1]}),
                                               ((1, 2, 5, 4, 6), {"kernel_shape": [2, 2, 3], "strides": [1, 1, 2]})])
def test_max_pool_with_mask(shape, attributes, random):
    mask = (random.random((1, 1, *shape[2:])) < 0.7).astype(np.int32)
    compare_node("MaxpoolWithMask", [_normal(random, *shape), mask], **attributes)


@pytest.mark.parametrize("fixed", [(1,), (1, 2)])
def test_transposed_convolution_with_dynamic_pads(fixed, random):
    inputs = [_normal(random, 1, 4, 5, 6), _normal(random, 4, 3, 3, 3), np.array([1, 0, 0, 2], np.int64), _normal(random, 3)]
    compare_node("ConvTransposeWithDynamicPads", inputs, fixed=fixed, strides=[2, 1], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("past", [False, True])
@pytest.mark.parametrize("end", [False, True])
def test_ngram_hashes(dtype, past, end, random):
    tables, limit = 2 * 3, 1 << (20 if dtype == np.int64 else 8)
    inputs = [random.integers(0, 9, (2, 7)).astype(dtype), random.integers(1, limit, 3).astype(dtype), random.integers(50, 99, tables).astype(dtype)]
    inputs += [random.integers(0, 9, (2, 2)).astype(dtype) if past else None, np.arange(tables).astype(dtype) * 100, np.array(4, dtype) if end else None]
    while inputs[-1] is None:
        inputs.pop()
    compare_node("NGramHashMapping", inputs, 2, max_ngram_size=3, n_head_per_ngram=3, pad_id=2, reset_on_eos=int(end))


@pytest.mark.parametrize("layout, sections", [(0, [2, 4, 2]), (1, [4, 2, 2]), (0, [8, 0, 0])])
@pytest.mark.parametrize("interleaved", [0, 1])
@pytest.mark.parametrize("shape", [(2, 3, 5, 16), (2, 5, 48)])
def test_rotation_in_three_dims(layout, sections, interleaved, shape, random):
    inputs = [_normal(random, *shape), random.integers(0, 10, (3, 2, 5)), _normal(random, 10, 8), _normal(random, 10, 8)]
    attributes = {"num_heads": 3} if len(shape) == 3 else {}
    compare_node("MRotaryEmbedding", inputs, mrope_section=sections, mrope_layout=layout, interleaved=interleaved, **attributes)


@pytest.mark.parametrize("name", ["float8_e4m3fn", "float8_e5m2"])
@pytest.mark.parametrize("scales, block", [((6, 4), 16), ((6, 1), 0), ((1, 1), 0)])
def test_gather_of_short_floats(name, scales, block, random):
    import ml_dtypes

    data = random.standard_normal((6, 64)).astype(getattr(ml_dtypes, name))
    inputs = [data, np.array([[0, 5, -1], [2, 3, 9]]), random.random(scales).astype(np.float32)]
    compare_node("GatherBlockQuantized", inputs, fixed=(0, 2), block_size=block, quantize_axis=1, gather_axis=0)


@pytest.mark.parametrize("dtype", [np.float16])
def test_short_floats(dtype, random):
    def normal(*shape):
        return random.standard_normal(shape).astype(dtype)

    packed = random.integers(0, 256, (7, 3, 8)).astype(np.uint8)
    compare_node("MatMulNBits", [normal(2, 4, 48), packed, normal(7, 3)], fixed=(1, 2), K=48, N=7, block_size=16, rtol=2e-2, atol=5e-2)
    compare_node("SkipLayerNormalization", [normal(2, 5, 8), normal(2, 5, 8), normal(8), normal(8)], epsilon=1e-5, rtol=1e-2, atol=1e-2)
    compare_node("RotaryEmbedding", [normal(2, 3, 5, 16), np.array([2]), normal(10, 8), normal(10, 8)], rtol=1e-2, atol=1e-2)
    lengths = [np.array([5, 4], np.int32), np.array(6, np.int32)]
    inputs = [normal(2, 1, 64), normal(2, 1, 32), normal(2, 1, 32), normal(2, 2, 5, 16), normal(2, 2, 5, 16), *lengths]
    compare_node("GroupQueryAttention", inputs, 3, num_heads=4, kv_num_heads=2, rtol=1e-2, atol=1e-2)
    compare_node("GatedRMSNorm", [normal(2, 5, 24), normal(8), normal(2, 5, 24)], rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_old_upsampling(mode, random):
    """Version 1 has a scale for each dim of an image, which was not read."""
    import onager

    x = _normal(random, 1, 2, 3, 4)
    model = make_model("Upsample", [x], 1, "", [helper.make_opsetid("", 6)], (), False, {"mode": mode, "height_scale": 2.0, "width_scale": 3.0})
    found = onager.InferenceSession(model).run(None, {"i0": x})[0]
    later = make_model("Upsample", [x], 1, "", [helper.make_opsetid("", 8)], (), False, {"mode": mode.replace("bi", ""), "scales": [1.0, 1.0, 2.0, 3.0]})
    np.testing.assert_allclose(found, run_reference(later, {"i0": x})[0], rtol=1e-5)
