"""Products with constant weights behind DequantizeLinear, as weight-only quantisers write them, against ONNX Runtime and -O0."""
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import onager
from support.places import ONAGER
from support.seeds import get_seed
from support.tool import run_command

TYPES = {"int8": (TensorProto.INT8, -128, 127), "uint8": (TensorProto.UINT8, 0, 255), "int4": (TensorProto.INT4, -8, 7), "uint4": (TensorProto.UINT4, 0, 15)}


def _make_integers(name: str, kind: str, values: np.ndarray) -> onnx.TensorProto:
    element = TYPES[kind][0]
    if kind.endswith("8"):
        return numpy_helper.from_array(values.astype(kind), name)
    nibbles = np.pad(values.reshape(-1) & 15, (0, values.size % 2)).astype(np.uint8)
    return TensorProto(name=name, data_type=element, dims=values.shape, raw_data=(nibbles[::2] | nibbles[1::2] << 4).tobytes())


def make_model(random, kind: str, block: int, has_zeros: bool, form: str, inner: int = 96, columns: int = 80, element: int = TensorProto.FLOAT) -> onnx.ModelProto:
    """x [rows, inner] times weights as [K, N] ("plain") or as [N, K] that a Transpose ("transposed") or a Gemm ("gemm") turns. `block` 0 is a scale for each column, -1 one for all."""
    _, low, high = TYPES[kind]
    sum_axis = 0 if form == "plain" else 1
    shape = (inner, columns) if form == "plain" else (columns, inner)
    grid = list(shape)
    grid[sum_axis] = -(-inner // block) if block > 0 else 0
    parameters = tuple(grid) if block > 0 else (columns,) if block == 0 else ()
    real = helper.tensor_dtype_to_np_dtype(element)
    constants = [_make_integers("q", kind, random.integers(low, high + 1, shape)), numpy_helper.from_array(random.uniform(0.01, 0.1, parameters).astype(real), "s")]
    constants += [_make_integers("z", kind, np.asarray(random.integers(low // 2, high // 2 + 1, parameters)))] if has_zeros else []
    attributes = {"axis": sum_axis, "block_size": block} if block > 0 else {"axis": 1 - sum_axis}
    nodes = [helper.make_node("DequantizeLinear", [tensor.name for tensor in constants], ["w"], **attributes)]
    if form == "gemm":
        constants.append(numpy_helper.from_array(random.standard_normal(columns).astype(real), "b"))
        nodes.append(helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1))
    else:
        nodes += [helper.make_node("Transpose", ["w"], ["t"], perm=[1, 0])] if form == "transposed" else []
        nodes.append(helper.make_node("MatMul", ["x", "w" if form == "plain" else "t"], ["y"]))
    tensors = [helper.make_tensor_value_info(name, element, ["rows", extent]) for name, extent in (("x", inner), ("y", columns))]
    graph = helper.make_graph(nodes, "product", tensors[:1], tensors[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def _lower(model: onnx.ModelProto, folder) -> str:
    onnx.save(model, folder / "m.onnx")
    run_command(ONAGER, "compile", folder / "m.onnx", "-o", folder / "m.mlir", "--stop-after=kernel")
    return (folder / "m.mlir").read_text()


def _run_reference(model: onnx.ModelProto, feeds: dict) -> np.ndarray:
    """ONNX Runtime as the nodes say: optimised it rounds x to bytes."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, feeds)[0]


def _compare(model: onnx.ModelProto, random, inner: int) -> None:
    for options in ({}, {"opt_level": 0}, {"target": "portable"}):
        session = onager.InferenceSession(model.SerializeToString(), **options)
        for rows in (1, 3, 9, 40):
            x = random.standard_normal((rows, inner)).astype(np.float32)
            np.testing.assert_allclose(session.run(None, {"x": x})[0], _run_reference(model, {"x": x}), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(("kind", "block", "has_zeros", "form"), [
    ("int8", 0, False, "plain"), ("int8", 0, True, "gemm"), ("int8", -1, False, "transposed"), ("int8", 128, True, "plain"), ("uint8", 32, True, "transposed"),
    ("uint8", 0, True, "plain"), ("int4", 16, True, "plain"), ("int4", 32, False, "gemm"), ("int4", 48, True, "transposed"), ("uint4", 16, True, "gemm"),
    ("uint4", 64, True, "plain"), ("uint4", -1, True, "transposed")])
def test_weights_stay_small(kind, block, has_zeros, form, tmp_path):
    random = np.random.default_rng(get_seed())
    model = make_model(random, kind, block, has_zeros, form)
    assert "kernel.block_gemm" in _lower(model, tmp_path)
    _compare(model, random, 96)


@pytest.mark.parametrize(("inner", "columns", "block"), [(100, 50, 32), (77, 65, 0), (150, 33, 64), (768, 16, 0)])
def test_odd_sizes(inner, columns, block, tmp_path):
    random = np.random.default_rng(get_seed())
    for form in ("plain", "transposed"):
        model = make_model(random, "int4", block, True, form, inner, columns)
        assert ("kernel.block_gemm" in _lower(model, tmp_path)) == (inner * columns >= 4096)
        _compare(model, random, inner)


@pytest.mark.parametrize("kind", ["int8", "uint4"])
def test_weights_and_values_of_f16(kind, tmp_path):
    random = np.random.default_rng(get_seed())
    model = make_model(random, kind, 32, True, "plain", element=TensorProto.FLOAT16)
    assert "kernel.block_gemm" in _lower(model, tmp_path)
    session, x = onager.InferenceSession(model.SerializeToString()), random.standard_normal((5, 96)).astype(np.float16)
    np.testing.assert_allclose(session.run(None, {"x": x})[0], _run_reference(model, {"x": x}), rtol=2e-2, atol=0.1)


def test_blocks_that_no_kernel_reads_are_dequantised(tmp_path):
    """Of 24 numbers eight would be a block."""
    random = np.random.default_rng(get_seed())
    model = make_model(random, "int8", 24, True, "plain")
    assert "kernel.block_gemm" not in _lower(model, tmp_path)
    _compare(model, random, 96)
