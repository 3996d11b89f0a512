"""Support vector machines against ONNX Runtime, on random machines."""
import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from support.seeds import get_seed

KERNELS = ["LINEAR", "POLY", "RBF", "SIGMOID"]


@pytest.fixture
def random():
    return np.random.default_rng(get_seed())


def _hold(tmp_path, op, outputs, x, **attributes):
    import onager

    names = [f"y{k}" for k in range(len(outputs))]
    node = helper.make_node(op, ["x"], names, domain="ai.onnx.ml", **attributes)
    graph = helper.make_graph([node], op, [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", x.shape[1]])],
                              [helper.make_tensor_value_info(name, element, None) for name, element in zip(names, outputs)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)], ir_version=8).SerializeToString()
    expected = onnxruntime.InferenceSession(model).run(None, {"x": x})
    found = onager.InferenceSession(onager.compile(model, tmp_path / "model.so"), threads=2).run(None, {"x": x})
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        if b.dtype == np.float32:
            np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-4)
        else:
            assert (a == b).mean() > 0.97  # a vote may hang on the last bit of a score


def _numbers(random, *shape, scale=1.0):
    return (random.standard_normal(shape) * scale).astype(np.float32)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("one_class", [0, 1])
def test_regressor(kernel, one_class, random, tmp_path):
    supports, features = 7, 5
    _hold(tmp_path, "SVMRegressor", [TensorProto.FLOAT], _numbers(random, 20, features), kernel_type=kernel, kernel_params=[0.3, 0.5, 3.0], n_supports=supports, one_class=one_class,
          support_vectors=_numbers(random, supports * features).tolist(), coefficients=_numbers(random, supports).tolist(), rho=[0.25])


def test_linear_regressor(random, tmp_path):
    _hold(tmp_path, "SVMRegressor", [TensorProto.FLOAT], _numbers(random, 9, 4), kernel_type="LINEAR", kernel_params=[0.0, 0.0, 0.0], coefficients=_numbers(random, 4).tolist(), rho=[-0.5])


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("per_class", [[3, 4], [2, 3, 4], [1, 2, 1, 3]])
@pytest.mark.parametrize("with_chances", [False, True])
@pytest.mark.parametrize("with_names", [False, True])
def test_classifier(kernel, per_class, with_chances, with_names, random, tmp_path):
    classes, vectors, features = len(per_class), sum(per_class), 4
    pairs = classes * (classes - 1) // 2
    attributes = {"classlabels_strings": [f"c{k}" for k in range(classes)]} if with_names else {"classlabels_ints": [3 * k - 1 for k in range(classes)]}
    if with_chances:
        attributes.update(prob_a=(-np.abs(_numbers(random, pairs)) - 0.5).tolist(), prob_b=_numbers(random, pairs, scale=0.3).tolist())
    _hold(tmp_path, "SVMClassifier", [TensorProto.STRING if with_names else TensorProto.INT64, TensorProto.FLOAT], _numbers(random, 60, features), kernel_type=kernel,
          kernel_params=[0.2, 0.1, 2.0], vectors_per_class=per_class, support_vectors=_numbers(random, vectors * features).tolist(),
          coefficients=_numbers(random, (classes - 1) * vectors).tolist(), rho=_numbers(random, pairs, scale=0.2).tolist(), **attributes)
