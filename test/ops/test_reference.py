"""Operators whose extents, axes or blocks may be known only while running, against ONNX's reference implementation, on random shapes."""
import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from support.seeds import get_seed

OPSET = [helper.make_opsetid("", 22), helper.make_opsetid("ai.onnx.preview.training", 1)]
ELEMENTS = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.float64): TensorProto.DOUBLE, np.dtype(np.int64): TensorProto.INT64, np.dtype(np.bool_): TensorProto.BOOL}


def _model(op: str, feeds: dict, outputs: int, elements, domain: str = "", **attributes):
    """One node; extents of inputs are symbols but for vectors of integers, whose length is a rank."""
    inputs = []
    for name, value in feeds.items():
        fixed = value.dtype == np.int64 and value.ndim == 1
        shape = [extent if fixed else f"{name}_{k}" for k, extent in enumerate(value.shape)]
        inputs.append(helper.make_tensor_value_info(name, ELEMENTS[value.dtype], shape))
    names = [f"y{k}" for k in range(outputs)]
    results = [helper.make_tensor_value_info(name, element, None) for name, element in zip(names, elements)]
    graph = helper.make_graph([helper.make_node(op, list(feeds), names, domain=domain, **attributes)], op, inputs, results)
    return helper.make_model(graph, opset_imports=OPSET, ir_version=10)


def _hold(tmp_path, op: str, feeds: dict, outputs: int = 1, elements=None, wanted=None, rtol: float = 1e-4, atol: float = 1e-5, **attributes):
    import onager

    elements = elements or [TensorProto.FLOAT] * outputs
    model = _model(op, feeds, outputs, elements, **attributes)
    wanted = ReferenceEvaluator(model).run(None, feeds) if wanted is None else wanted
    session = onager.InferenceSession(onager.compile(model.SerializeToString(), tmp_path / "model.so"), threads=2)
    for found, expected in zip(session.run(None, feeds), wanted, strict=True):
        assert found.shape == np.shape(expected)
        np.testing.assert_allclose(found.astype(np.float64), np.asarray(expected, np.float64), rtol=rtol, atol=atol)


@pytest.fixture
def random():
    return np.random.default_rng(get_seed())


def _floats(random, *shape) -> np.ndarray:
    return random.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("batch, size", [((), 1), ((3,), 2), ((2, 2), 5), ((1,), 12), ((0,), 3)])
def test_det(batch, size, random, tmp_path):
    x = _floats(random, *batch, size, size)
    _hold(tmp_path, "Det", {"x": x}, wanted=[np.linalg.det(x.astype(np.float64))])


def test_det_of_singular(tmp_path):
    _hold(tmp_path, "Det", {"x": np.array([[[1, 2], [2, 4]], [[0, 1], [1, 0]]], np.float32)}, wanted=[np.array([0, -1])])


@pytest.mark.parametrize("channels", [4, 24])
@pytest.mark.parametrize("groups, offset_groups, strides, dilations, pads", [(1, 1, (1, 1), (1, 1), (0, 0, 0, 0)), (2, 1, (2, 1), (1, 2), (1, 2, 0, 1)),
                                                                             (1, 4, (1, 2), (2, 1), (2, 1, 1, 0)), (2, 4, (1, 1), (1, 1), (1, 1, 1, 1))])
def test_deform_conv(groups, offset_groups, strides, dilations, pads, channels, random, tmp_path):
    x, w = _floats(random, 2, channels, 9, 8), _floats(random, 6, channels // groups, 3, 2)
    height = (9 + pads[0] + pads[2] - dilations[0] * 2 - 1) // strides[0] + 1
    width = (8 + pads[1] + pads[3] - dilations[1] - 1) // strides[1] + 1
    feeds = {"x": x, "w": w, "offset": 2 * _floats(random, 2, offset_groups * 12, height, width), "b": _floats(random, 6), "mask": _floats(random, 2, offset_groups * 6, height, width)}
    _hold(tmp_path, "DeformConv", feeds, kernel_shape=[3, 2], group=groups, offset_group=offset_groups, strides=strides, dilations=dilations, pads=pads)


@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize("place", ["half_pixel", "output_half_pixel"])
@pytest.mark.parametrize("ratio", [0, 2])
def test_roi_align(mode, place, ratio, random, tmp_path):
    corners = random.uniform(0, 20, (5, 2)).astype(np.float32)
    rois = np.concatenate([corners, corners + random.uniform(0.5, 12, (5, 2)).astype(np.float32)], 1)
    feeds = {"x": _floats(random, 2, 3, 11, 13), "rois": rois, "images": random.integers(0, 2, 5)}
    attributes = {"mode": mode, "coordinate_transformation_mode": place, "sampling_ratio": ratio, "output_height": 3, "output_width": 4, "spatial_scale": 0.6}
    import onager
    import onnxruntime

    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, list("NCHW")), helper.make_tensor_value_info("rois", TensorProto.FLOAT, ["R", 4]), helper.make_tensor_value_info("images", TensorProto.INT64, ["R"])]
    graph = helper.make_graph([helper.make_node("RoiAlign", list(feeds), ["y"], **attributes)], "g", inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=10).SerializeToString()
    wanted = onnxruntime.InferenceSession(model).run(None, feeds)[0]
    found = onager.InferenceSession(onager.compile(model, tmp_path / "model.so")).run(None, feeds)[0]
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("block, image, strides, dilations, pads", [((2, 3), (7, 8), (1, 1), (1, 1), (0, 0, 0, 0)), ((3, 2), (9, 6), (2, 1), (1, 2), (1, 0, 2, 1)), ((4,), (11,), (3,), (1,), (1, 2)), ((1, 2, 2), (3, 4, 5), (1, 1, 2), (1, 2, 1), (0,) * 6)])
def test_col2im(block, image, strides, dilations, pads, random, tmp_path):
    count, rank = 1, len(block)
    for k in range(rank):
        count *= (image[k] + pads[k] + pads[k + rank] - dilations[k] * (block[k] - 1) - 1) // strides[k] + 1
    feeds = {"x": _floats(random, 2, 3 * int(np.prod(block)), count), "image": np.array(image), "block": np.array(block)}
    _hold(tmp_path, "Col2Im", feeds, strides=strides, dilations=dilations, pads=pads)


@pytest.mark.parametrize("axis", [0, 1, 2, -2, -3, -4])
@pytest.mark.parametrize("inverse, onesided, parts, length", [(0, 0, 1, None), (0, 0, 2, 7), (0, 1, 1, 6), (1, 0, 2, None)])
def test_dft_axis(axis, inverse, onesided, parts, length, random, tmp_path):
    import onager

    x = _floats(random, 4, 6, 5, parts)
    names = ["x", "n" if length else "", "axis"]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["A", "B", "C", parts]), helper.make_tensor_value_info("axis", TensorProto.INT64, [])]
    inputs += [helper.make_tensor_value_info("n", TensorProto.INT64, [])] if length else []
    graph = helper.make_graph([helper.make_node("DFT", names, ["y"], inverse=inverse, onesided=onesided)], "g", inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    model = helper.make_model(graph, opset_imports=OPSET[:1], ir_version=10)
    feeds = {"x": x, "axis": np.array(axis)} | ({"n": np.array(length)} if length else {})
    numbers = x[..., 0] + (1j * x[..., 1] if parts == 2 else 0)
    transform = np.fft.ifft if inverse else np.fft.fft
    along = axis + 1 if axis < 0 else axis
    wanted = transform(numbers, n=length, axis=along)
    if onesided:
        wanted = np.take(wanted, range(wanted.shape[along] // 2 + 1), along)
    found = onager.InferenceSession(onager.compile(model.SerializeToString(), tmp_path / "model.so")).run(None, feeds)[0]
    np.testing.assert_allclose(found, np.stack([wanted.real, wanted.imag], -1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bins, length, rate, low, high", [(8, 16, 8192, 0, 4096), (20, 512, 16000, 20, 7600), (3, 33, 1000, 100, 450)])
def test_mel_weights(bins, length, rate, low, high, tmp_path):
    feeds = {"bins": np.array(bins), "length": np.array(length), "rate": np.array(rate), "low": np.array(low, np.float32), "high": np.array(high, np.float32)}
    _hold(tmp_path, "MelWeightMatrix", feeds)


@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("kind", ["half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel", "half_pixel_symmetric"])
@pytest.mark.parametrize("exclude", [0, 1])
def test_antialias(mode, kind, exclude, random, tmp_path):
    """Where sizes come while running, weights are those of the form that is known when the model is compiled."""
    import onager

    x, sizes = _floats(random, 1, 2, 17, 9), np.array([1, 2, 6, 12])
    attributes = {"mode": mode, "coordinate_transformation_mode": kind, "exclude_outside": exclude, "antialias": 1}
    results = []
    for known in (True, False):
        shape = list(x.shape) if known else ["A", "B", "C", "D"]
        inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)] + ([] if known else [helper.make_tensor_value_info("sizes", TensorProto.INT64, [4])])
        graph = helper.make_graph([helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], **attributes)], "g", inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
                                  [helper.make_tensor("sizes", TensorProto.INT64, [4], sizes)] if known else [])
        model = helper.make_model(graph, opset_imports=OPSET[:1], ir_version=10).SerializeToString()
        feeds = {"x": x} if known else {"x": x, "sizes": sizes}
        results.append(onager.InferenceSession(onager.compile(model, tmp_path / f"{known}.so")).run(None, feeds)[0])
    assert results[0].shape == tuple(sizes)
    np.testing.assert_allclose(results[1], results[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("policy", ["not_larger", "not_smaller"])
@pytest.mark.parametrize("sizes", [(6, 12), (20, 4), (9, 17)])
def test_keep_aspect_ratio(policy, sizes, random, tmp_path):
    feeds = {"x": _floats(random, 1, 2, 9, 17), "roi": np.zeros(0, np.float32), "scales": np.zeros(0, np.float32), "sizes": np.array(sizes)}
    scale = (min if policy == "not_larger" else max)(sizes[0] / 9, sizes[1] / 17)
    import onager

    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, list("NCHW")), helper.make_tensor_value_info("sizes", TensorProto.INT64, [2])]
    graph = helper.make_graph([helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], axes=[2, 3], mode="linear", keep_aspect_ratio_policy=policy)], "g", inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    model = helper.make_model(graph, opset_imports=OPSET[:1], ir_version=10)
    found = onager.InferenceSession(onager.compile(model.SerializeToString(), tmp_path / "model.so")).run(None, {"x": feeds["x"], "sizes": feeds["sizes"]})[0]
    assert found.shape == (1, 2, int(9 * scale + 0.5), int(17 * scale + 0.5))
    np.testing.assert_allclose(found, ReferenceEvaluator(model).run(None, {"x": feeds["x"], "sizes": feeds["sizes"]})[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mode", ["TF", "IDF", "TFIDF"])
@pytest.mark.parametrize("shortest, longest, skips", [(1, 1, 0), (1, 2, 3), (2, 3, 1), (3, 3, 5)])
def test_tfidf(mode, shortest, longest, skips, random, tmp_path):
    """Against ONNX Runtime, on a pool in which each n-gram of a small alphabet is found in turn."""
    import onager
    import onnxruntime

    ones, twos, threes = [2, 3, 5], [2, 3, 5, 5, 3, 2], [2, 2, 3, 5, 2, 5]
    columns = [3, 0, 4, 1, 6, 2, 5, 7]
    node = helper.make_node("TfIdfVectorizer", ["x"], ["y"], mode=mode, min_gram_length=shortest, max_gram_length=longest, max_skip_count=skips, ngram_counts=[0, 3, 9],
                            ngram_indexes=columns, pool_int64s=ones + twos + threes, weights=[float(w) for w in random.uniform(0.5, 2, 8)])
    x = random.choice([2, 3, 5, 7], (4, 15)).astype(np.int64)
    for value in (x, x[0]):
        shape = ["N", "C"][-value.ndim :]
        graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", TensorProto.INT64, shape)], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9)], ir_version=4).SerializeToString()
        found = onager.InferenceSession(onager.compile(model, tmp_path / "model.so")).run(None, {"x": value})[0]
        np.testing.assert_allclose(found, onnxruntime.InferenceSession(model).run(None, {"x": value})[0], rtol=1e-6)


@pytest.mark.parametrize("op, states, attributes", [
    ("Adagrad", 1, {"norm_coefficient": 0.01, "decay_factor": 0.1, "epsilon": 1e-4}),
    ("Adam", 2, {"norm_coefficient": 0.01, "norm_coefficient_post": 0.02, "alpha": 0.9, "beta": 0.8, "epsilon": 1e-3}),
    ("Momentum", 1, {"norm_coefficient": 0.01, "alpha": 0.9, "beta": 0.7, "mode": "standard"}),
    ("Momentum", 1, {"norm_coefficient": 0.01, "alpha": 0.9, "beta": 0.7, "mode": "nesterov"}),
])
@pytest.mark.parametrize("step", [0, 3])
def test_optimisers(op, states, attributes, step, random, tmp_path):
    shapes = [(3,), (2, 4)]
    feeds = {"rate": np.array(0.1, np.float32), "step": np.array(step)}
    for kind in ["x", "g"] + [f"s{k}" for k in range(states)]:
        feeds |= {f"{kind}{k}": np.abs(_floats(random, *shape)) for k, shape in enumerate(shapes)}
    _hold(tmp_path, op, feeds, outputs=len(shapes) * (1 + states), domain="ai.onnx.preview.training", **attributes)


@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_seeded_dropout(seed, random, tmp_path):
    """A seed gives the mask of NumPy's generator, as in the reference."""
    feeds = {"x": _floats(random, 37, 23), "ratio": np.array(0.3, np.float32), "training": np.array(True)}
    mask = np.random.RandomState(seed).uniform(0, 1, (37, 23)) >= 0.3
    _hold(tmp_path, "Dropout", feeds, outputs=2, elements=[TensorProto.FLOAT, TensorProto.BOOL], wanted=[feeds["x"] * mask / np.float32(0.7), mask], seed=seed)


@pytest.mark.parametrize("directions", [[0, 0], [1, 0]])
def test_scan_over_a_batch(directions, random, tmp_path):
    """Scan of opset 8: every input has a batch dim in front."""
    import onager

    tensor = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    body = helper.make_graph([helper.make_node("Add", ["s", "a"], ["t"]), helper.make_node("Mul", ["t", "b"], ["u"])], "body",
                             [tensor("s", [2]), tensor("a", [2]), tensor("b", [2])], [tensor("t", [2]), tensor("u", [2])])
    node = helper.make_node("Scan", ["", "x", "p", "q"], ["y", "z"], num_scan_inputs=2, directions=directions, body=body)
    graph = helper.make_graph([node], "scan", [tensor("x", ["n", 2]), tensor("p", ["n", "k", 2]), tensor("q", ["n", "k", 2])], [tensor("y", None), tensor("z", None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 8)], ir_version=3)
    session = onager.InferenceSession(onager.compile(model.SerializeToString(), tmp_path / "model.so"), threads=2)
    for batch, length in ((3, 4), (1, 1)):
        x, p, q = _floats(random, batch, 2), _floats(random, batch, length, 2), _floats(random, batch, length, 2)
        y, z = session.run(None, {"x": x, "p": p, "q": q})
        sums = x[:, None] + np.cumsum(p[:, ::-1] if directions[0] else p, axis=1)
        np.testing.assert_allclose(y, sums[:, -1], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(z, sums * q, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("opt_level", [0, 3])
@pytest.mark.parametrize("directions", [[0, 0], [1, 0]])
def test_scan_over_a_batch_with_lengths(directions, opt_level, random):
    """Scan of opset 8 stops each member of the batch at its own length; zeros follow in what it stacks, and a backward input begins at that length."""
    import onager

    tensor = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    body = helper.make_graph([helper.make_node("Add", ["s", "a"], ["t"]), helper.make_node("Mul", ["t", "b"], ["u"])], "body",
                             [tensor("s", [2]), tensor("a", [2]), tensor("b", [2])], [tensor("t", [2]), tensor("u", [2])])
    node = helper.make_node("Scan", ["lengths", "x", "p", "q"], ["y", "z"], name="walk", num_scan_inputs=2, directions=directions, body=body)
    lengths = helper.make_tensor_value_info("lengths", TensorProto.INT64, ["n"])
    graph = helper.make_graph([node], "scan", [lengths, tensor("x", ["n", 2]), tensor("p", ["n", "k", 2]), tensor("q", ["n", "k", 2])],
                              [tensor("y", None), tensor("z", None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 8)], ir_version=3)
    session = onager.InferenceSession(model.SerializeToString(), opt_level=opt_level)
    for counts, length in (([4, 1, 3], 4), ([2], 2), ([0, 5], 6)):
        batch = len(counts)
        x, p, q = _floats(random, batch, 2), _floats(random, batch, length, 2), _floats(random, batch, length, 2)
        y, z = session.run(None, {"lengths": np.array(counts, np.int64), "x": x, "p": p, "q": q})
        wanted, stacked = x.copy(), np.zeros((batch, length, 2), np.float32)
        for member, count in enumerate(counts):
            for step in range(count):
                wanted[member] += p[member, count - 1 - step if directions[0] else step]
                stacked[member, step] = wanted[member] * q[member, step]
        np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(z, stacked, rtol=1e-5, atol=1e-6)
    for count in (-1, 3):
        with pytest.raises(RuntimeError, match="node 'walk'.*sequence_lens"):
            session.run(None, {"lengths": np.array([count], np.int64), "x": x[:1], "p": p[:1, :2], "q": q[:1, :2]})


def test_squeeze_without_axes_beside_open_dims(random, tmp_path):
    import onager

    graph = helper.make_graph([helper.make_node("Squeeze", ["x"], ["y"], name="drop")], "squeeze", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 3])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    model = helper.make_model(graph, opset_imports=OPSET, ir_version=10)
    session = onager.InferenceSession(onager.compile(model.SerializeToString(), tmp_path / "model.so"))
    x = _floats(random, 4, 1, 3)
    np.testing.assert_array_equal(session.run(None, {"x": x})[0], x[:, 0])
    with pytest.raises(RuntimeError, match="node 'drop'.*a squeeze without axes"):
        session.run(None, {"x": x[:1]})


@pytest.mark.parametrize("shape, scale", [((2, 3), 1.0), ((3, 3), 0.5), ((1, 1), 0.25)])
def test_max_roi_pool(shape, scale, random, tmp_path):
    """ONNX's reference implementation has none: ONNX Runtime stands for it."""
    import onager
    import onnxruntime

    corners = random.uniform(-3, 14, (6, 2)).astype(np.float32)
    rois = np.concatenate([random.integers(0, 2, (6, 1)).astype(np.float32), corners, corners + random.uniform(-2, 12, (6, 2)).astype(np.float32)], 1)
    graph = helper.make_graph([helper.make_node("MaxRoiPool", ["x", "rois"], ["y"], name="pool", pooled_shape=shape, spatial_scale=scale)], "pool",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, list("NCHW")), helper.make_tensor_value_info("rois", TensorProto.FLOAT, ["R", 5])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString()
    feeds = {"x": _floats(random, 2, 3, 11, 13), "rois": rois}
    session = onager.InferenceSession(onager.compile(model, tmp_path / "model.so"), threads=2)
    np.testing.assert_array_equal(session.run(None, feeds)[0], onnxruntime.InferenceSession(model).run(None, feeds)[0])
    rois[0, 0] = 2
    with pytest.raises(RuntimeError, match="node 'pool'"):
        session.run(None, feeds)
