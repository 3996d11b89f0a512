"""Division, remainders and powers of integers over all pairs of bytes and the extremes of wider types, against exact arithmetic."""
import numpy as np
import pytest
from onnx import TensorProto, helper

from support.seeds import get_seed

TYPES = [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64]


def _pairs(dtype) -> tuple[np.ndarray, np.ndarray]:
    info, random = np.iinfo(dtype), np.random.default_rng(get_seed())
    if info.bits == 8:
        numbers = np.arange(info.min, info.max + 1, dtype=dtype)
        a, b = np.meshgrid(numbers, numbers)
        return a.ravel(), b.ravel()
    small = random.integers(max(info.min, -300), 300, 20_000).astype(dtype)
    a = np.concatenate([random.integers(info.min, info.max, 20_000, dtype=dtype, endpoint=True), small])
    b = np.concatenate([small, random.integers(info.min, info.max, 20_000, dtype=dtype, endpoint=True)])
    # Multiples of a divisor and their neighbours, where a rounded quotient would be one off.
    divisor = random.integers(1, 1 << (info.bits // 2), 20_000).astype(dtype)
    multiple = (divisor.astype(object) * random.integers(0, 1 << (info.bits // 2 - 1), 20_000)).astype(dtype)
    edges = np.array([info.min, info.min + 1, info.max, info.max - 1, 0, 1, 2, 3, info.max // 2] + ([-1, -2, -3] if info.min else []), dtype)
    x, y = np.meshgrid(edges, edges)
    with np.errstate(over="ignore"):
        near = multiple - dtype(1)
    return np.concatenate([a, multiple, near, x.ravel()]), np.concatenate([b, divisor, divisor, y.ravel()])


def _run(op: str, a: np.ndarray, b: np.ndarray, fixed: bool = False, **attributes) -> np.ndarray:
    import onager

    element = helper.np_dtype_to_tensor_dtype(a.dtype)
    node = helper.make_node(op, ["a", "b"], ["y"], **attributes)
    infos = [helper.make_tensor_value_info("a", element, ["N"]), helper.make_tensor_value_info("b", helper.np_dtype_to_tensor_dtype(b.dtype), ["N"] if b.ndim else [])]
    tensors = [helper.make_tensor("b", infos[1].type.tensor_type.elem_type, b.shape, b.ravel().tolist())] if fixed else []
    graph = helper.make_graph([node], "g", infos[:1] if fixed else infos, [helper.make_tensor_value_info("y", element, ["N"])], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8).SerializeToString()
    return onager.InferenceSession(model).run(None, {"a": a} if fixed else {"a": a, "b": b})[0]


def _exact(op: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Rounded towards zero and wrapped; 0 where the divisor is."""
    x, y = a.astype(object), b.astype(object)
    safe = np.where(y == 0, 1, y)
    quotient = np.where((x < 0) != (safe < 0), -(abs(x) // abs(safe)), abs(x) // abs(safe))
    value = {"Div": quotient, "fmod": x - quotient * safe, "mod": x % safe}[op]
    return (np.where(y == 0, 0, value) % (1 << np.iinfo(a.dtype).bits)).astype(f"u{a.dtype.itemsize}").view(a.dtype)


@pytest.mark.parametrize("dtype", TYPES, ids=lambda dtype: dtype.__name__)
def test_quotients_and_remainders(dtype):
    a, b = _pairs(dtype)
    for op, node, attributes in [("Div", "Div", {}), ("fmod", "Mod", {"fmod": 1}), ("mod", "Mod", {})]:
        wanted, found = _exact(op, a, b), _run(node, a, b, **attributes)
        bad = np.flatnonzero(found != wanted)
        assert not bad.size, f"{op} of {a[bad[0]]} and {b[bad[0]]}: {found[bad[0]]}, expected {wanted[bad[0]]}; {bad.size} differ"
        for divisor in (dtype(7), dtype(0), np.iinfo(dtype).min, np.iinfo(dtype).max):
            one = np.array(divisor, dtype)
            for fixed in (False, True):
                np.testing.assert_array_equal(_run(node, a, one, fixed, **attributes), _exact(op, a, np.broadcast_to(one, a.shape)), err_msg=f"{op} by {divisor}")


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_powers(dtype):
    """Modulo the type's range; exponents with high bits are for bases of which not all powers vanish."""
    random, info = np.random.default_rng(get_seed()), np.iinfo(dtype)
    base = np.concatenate([random.integers(-9, 10, 3000), random.integers(info.min, info.max, 1000), [0, 1, -1, 3] * 20]).astype(dtype)
    exponent = np.concatenate([random.integers(0, 40, 2000), random.integers(0, 1 << 30, 2000), np.repeat([0, 1, 255, 256, 257, -1, -2, info.max, info.min, 1 << 20], 8)]).astype(dtype)
    modulus = 1 << info.bits
    wanted = [pow(int(x), int(n), modulus) if n >= 0 else (int(x) ** (int(n) % 2) % modulus if x in (1, -1) else 0) for x, n in zip(base, exponent)]
    np.testing.assert_array_equal(_run("Pow", base, exponent), np.array(wanted, object).astype(f"u{base.dtype.itemsize}").view(dtype))
