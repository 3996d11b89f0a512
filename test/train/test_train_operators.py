"""Graphs as PyTorch modules compute what ONNX says, with gradients that differences confirm; what has no rule is named."""
import collections
import pathlib

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import onager
from onager import CompileError
from support.places import unpack
from train.operator_rules import CASES, draw

torch = pytest.importorskip("torch", reason="PyTorch is absent: ONAGER_WITH_TORCH=1 scripts/setup.sh installs it")

torch.set_num_threads(1)  # threads that spin for each other wait long on a busy machine

from onager._train.module import GraphModule  # noqa: E402
from onager._train.node import RULES  # noqa: E402

# Rules that the tests of quantisation have, and com.microsoft's that onnx's reference lacks.
ELSEWHERE = {"QuantizeLinear", "DequantizeLinear", "SimplifiedLayerNormalization"}


def run_module(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    with torch.no_grad():
        outputs = GraphModule(model).eval()({name: torch.from_numpy(array.copy()) for name, array in feeds.items()})
    return [outputs[value.name].numpy() for value in model.graph.output]


@pytest.mark.parametrize("case", CASES, ids=map(str, CASES))
def test_forward(case):
    model, feeds = case.make_model(np.float32)
    expected = (ReferenceEvaluator(model) if case.judge == "onnx" else onager.InferenceSession(model.SerializeToString(), threads=1)).run(None, feeds)
    for found, wanted in zip(run_module(model, feeds), expected, strict=True):
        assert found.dtype == wanted.dtype and found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("case", [case for case in CASES if case.is_smooth and case.op != "Cast"], ids=str)
def test_gradients(case):
    model, feeds = case.make_model(np.float64)
    module, names = GraphModule(model).eval(), [name for name, array in feeds.items() if array.dtype == np.float64 and int(name[1:]) not in case.fixed]
    fixed = {name: torch.from_numpy(array) for name, array in feeds.items() if name not in names}

    def run(*values):
        outputs = module(dict(zip(names, values, strict=True)) | fixed)
        return tuple(output for output in outputs.values() if output.requires_grad)

    assert torch.autograd.gradcheck(run, [torch.from_numpy(feeds[name]).requires_grad_() for name in names], eps=1e-6, atol=1e-4, rtol=1e-3)


def test_every_rule_has_a_case():
    assert {op for domain, op in RULES if not domain} - ELSEWHERE == {case.op for case in CASES}


def test_node_cases_of_the_onnx_suite():
    """Every case whose operators have rules is right or is refused by name, for reasons that are known."""
    counts, wrong = collections.Counter(), []
    reasons = ("cannot be trained", "expected one output", "non-zero size", "without overflow")
    for folder in sorted(path.parent for path in (unpack("suites/onnx-backend.tar.xz", "suites/onnx-backend") / "onnx-backend" / "node").glob("*/model.onnx")):
        model = onnx.load(folder / "model.onnx")
        if any(value.type.WhichOneof("value") != "tensor_type" for value in model.graph.input):
            continue
        try:
            module = GraphModule(model).eval()
            feeds = {value.name: module.to_tensor(onnx.TensorProto.FromString((folder / "test_data_set_0" / f"input_{k}.pb").read_bytes())) for k, value in enumerate(model.graph.input)}
            with torch.no_grad():
                outputs = module(feeds)
        except CompileError as error:
            counts["no rule" if "has no rule" in str(error) else "refused"] += 1
            if not any(reason in str(error) for reason in (*reasons, "has no rule")):
                wrong.append(f"{folder.name}: {error}")
            continue
        counts["right"] += 1
        wrong += compare_outputs(folder, model, outputs)
    print(f"\nnode cases: {dict(counts)}")
    assert not wrong, "\n".join(wrong)
    assert counts["right"] > 1000


def compare_outputs(folder: pathlib.Path, model: onnx.ModelProto, outputs: dict) -> list[str]:
    for k, value in enumerate(model.graph.output):
        wanted = numpy_helper.to_array(onnx.TensorProto.FromString((folder / "test_data_set_0" / f"output_{k}.pb").read_bytes()))
        found = outputs[value.name].float().numpy() if outputs[value.name].dtype == torch.bfloat16 else outputs[value.name].numpy()
        if found.shape != wanted.shape or not np.allclose(found.astype(np.float64), wanted.astype(np.float64), rtol=1e-3, atol=1e-5, equal_nan=True):
            return [f"{folder.name}: output '{value.name}' differs"]
    return []


def make_text(body: str, signature: str = "(float[n, 3] x) => (float[n, 3] y)", domains: str = "") -> onnx.ModelProto:
    return onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 21{domains}]> g {signature} {{ {body} }}')


def test_all_nodes_without_a_rule_are_named():
    with pytest.raises(CompileError, match=r"training has no rule for node 'z' \(NonMaxSuppression, operator set 21\); node 'y' \(foo\.Bar, operator set 2\)") as caught:
        GraphModule(make_text("z = NonMaxSuppression(x, x) y = foo.Bar(z)", domains=', "foo": 2'))
    assert caught.value.status == 3


def test_what_goes_wrong_in_a_node_names_it():
    with pytest.raises(CompileError, match=r"node 'y' \(Add\): The size of tensor"):
        run_module(make_text("y = Add(x, z)", "(float[n, 3] x, float[n, 4] z) => (float[n, 3] y)"), {"x": np.zeros((2, 3), np.float32), "z": np.zeros((2, 4), np.float32)})


def test_functions_of_the_model_are_computed():
    text = '''<ir_version: 8, opset_import: ["" : 21, "own": 1]> g (float[n, 3] x) => (float[n, 3] y) <float[3] w = {1, 2, 3}> { y = own.Scale(x, w) }
              <domain: "own", opset_import: ["" : 21]> Scale (a, b) => (c) { d = Mul(a, b) c = Relu(d) }'''
    model = onnx.parser.parse_model(text)
    x = draw(4, 3).astype(np.float32)
    assert np.allclose(run_module(model, {"x": x})[0], np.maximum(x * [1, 2, 3], 0))
    assert list(GraphModule(model).weights) == ["w"]


@pytest.mark.parametrize(("op", "reference"), [("Gelu", "gelu"), ("FastGelu", "tanh"), ("QuickGelu", "quick"), ("SkipLayerNormalization", "skip")])
def test_operators_of_com_microsoft(op, reference):
    import onnxruntime

    x = draw(2, 3, 4).astype(np.float32)
    feeds = {"x": x} | ({"skip": x[::-1].copy(), "scale": draw(4).astype(np.float32), "beta": draw(4).astype(np.float32)} if reference == "skip" else {})
    inputs = [helper.make_tensor_value_info(name, 1, array.shape) for name, array in feeds.items()]
    graph = helper.make_graph([helper.make_node(op, list(feeds), ["y"], domain="com.microsoft")], "g", inputs, [helper.make_tensor_value_info("y", 1, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)], ir_version=8)
    wanted = onnxruntime.InferenceSession(model.SerializeToString()).run(None, feeds)[0]
    assert np.allclose(run_module(model, feeds)[0], wanted, rtol=1e-4, atol=1e-5)
