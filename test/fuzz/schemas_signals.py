"""Generators for transforms of signals, windows, determinants, Einstein sums, and random numbers."""
import numpy as np
from onnx import helper

from fuzz.draw import to_numpy, to_onnx


def _window(draw):
    draw.types["T2"] = draw.one("float", "double", "float16", "bfloat16", "int32", "uint8")
    node = draw.node([np.array(draw.whole(2, 12)).astype(draw.kind(0))], output_datatype=to_onnx(draw.element(0, output=True)), periodic=draw.one(0, 1))
    size = int(node.inputs[0])
    place = 2 * np.pi * np.arange(size) / (size - (0 if node.attributes["periodic"] else 1))
    y = {"HannWindow": 0.5 - 0.5 * np.cos(place), "HammingWindow": 25 / 46 - 21 / 46 * np.cos(place),
         "BlackmanWindow": 0.42 - 0.5 * np.cos(place) + 0.08 * np.cos(2 * place)}[draw.name]
    kind = draw.kind(0, output=True)
    if kind.kind in "iu":
        # The schema's body computes in f32: numbers near an integer are cut to either neighbour.
        either = np.stack([np.trunc(y - 1e-6), np.trunc(y + 1e-6)]).astype(kind)
        node.check = lambda found: "" if found[0].dtype == kind and found[0].shape == y.shape and (found[0] == either).any(0).all() else f"{found[0]}, expected of {either.tolist()}"
    else:
        node.wanted, node.loose = [y.astype(kind)], (0.01, 1e-3)
    return node


def _mel(draw):
    draw.types["T3"] = draw.one("float", "double", "float16", "bfloat16")
    inputs = [np.array(value).astype(draw.kind(place)) for place, value in enumerate((draw.whole(2, 6), draw.one(16, 32), 8000, draw.one(0, 60), draw.one(3000, 4000)))]
    return draw.node(inputs, output_datatype=to_onnx(draw.element(0, output=True)))


def _transform(draw):
    draw.retype("T2")
    shape, complex_ = (draw.whole(1, 2), draw.whole(1, 9), draw.whole(1, 5)), draw.often()
    axis, inverse = draw.one(1, 2), draw.one(0, 1)
    one_sided = int(not inverse and not complex_ and draw.often())
    x = draw.values(0, (*shape, 2 if complex_ else 1), -2, 2)
    length = np.array(draw.whole(1, 9)).astype(draw.kind(1)) if draw.often(0.4) else None
    wide = x.astype(np.float64)
    signal = wide[..., 0] + 1j * wide[..., 1] if complex_ else wide[..., 0]
    y = (np.fft.ifft if inverse else np.fft.fft)(signal, None if length is None else int(length), axis)
    if one_sided:
        y = y.take(range(y.shape[axis] // 2 + 1), axis)
    attributes = {"inverse": inverse, "onesided": one_sided}
    node = draw.node([x] if length is None else [x, length], **attributes)
    if draw.version == 17:
        node.attributes["axis"] = axis
    else:
        node.inputs = [x, length, np.array(draw.one(axis, axis - 4))]
    node.wanted, node.loose = [np.stack([y.real, y.imag], -1).astype(x.dtype)], (0.01, 2e-3)
    return node


def _short_time(draw):
    draw.retype("T2")
    size, length, step = draw.whole(4, 16), draw.whole(2, 4), draw.whole(1, 3)
    complex_ = draw.often(0.3)
    x = draw.values(0, (draw.whole(1, 2), size, 2 if complex_ else 1), -2, 2)
    window = draw.values(2, (length,), 0.2, 1) if draw.often() else None
    node = draw.node([x, np.array(step).astype(draw.kind(1)), window, np.array(length).astype(draw.kind(1))], onesided=0 if complex_ else draw.one(0, 1))
    signal, y = x.astype(np.float64), []
    signal = signal[..., 0] + (1j * signal[..., 1] if complex_ else 0)
    for start in range(0, size - length + 1, step):
        y.append(np.fft.fft(signal[:, start:start + length] * (1 if window is None else window.astype(np.float64))))
    y = np.stack(y, 1)[..., :length // 2 + 1 if node.attributes["onesided"] else length]
    node.wanted, node.loose = [np.stack([y.real, y.imag], -1).astype(x.dtype)], (0.01, 2e-3)
    return node


def _determinant(draw):
    size = draw.whole(1, 5)
    x = draw.values(0, (*draw.shape(most_rank=2, least=1), size, size), -2, 2)
    node = draw.node([x])
    node.wanted, node.loose = [np.asarray(np.linalg.det(x.astype(np.float64))).astype(x.dtype)], (0.02, 2e-3)
    return node


def _einsum(draw):
    sizes = {letter: draw.whole(1, 4) for letter in "abcd"}
    equation = draw.one("ab,bc->ac", "ab,ab->", "ab->ba", "aab->b", "ab,cb", "abc,cd->abd", "a,b->ab", "ab->a", "...a,ab->...b", "ab,bc,cd->ad", "aa->a", "...ab->...ba", "ba,ca")
    low, high = (0, 3) if "uint" in draw.element(0) else (-2, 2)
    inputs = []
    for term in equation.split("->")[0].split(","):
        rank = (2, 3) if term.startswith("...") else ()
        inputs.append(draw.values(0, (*rank, *[sizes[letter] for letter in term.replace("...", "")]), low, high))
    node = draw.node(inputs, equation=equation)
    exact = "int" in draw.element(0)
    node.wanted = [np.asarray(np.einsum(equation, *[value.astype(np.int64 if exact else np.float64) for value in inputs])).astype(inputs[0].dtype)]
    node.loose = (0.01, 1e-3)
    return node


def _check(kind, shape, low: float, high: float, mean: float, spread: float):
    """Says what is wrong with random numbers: their mean must lie within five standard errors."""
    def check(found: list) -> str:
        y = found[0]
        if y.dtype != kind or y.shape != tuple(shape):
            return f"{y.dtype}{y.shape}, expected {kind}{tuple(shape)}"
        wide = y.astype(np.float64)
        if wide.size and not (wide.min() >= low and wide.max() <= high):
            return f"numbers from {wide.min()} to {wide.max()}, expected {low} to {high}"
        error = 5 * spread / np.sqrt(max(wide.size, 1)) + 0.01 * max(1, abs(mean))
        return "" if not wide.size or abs(wide.mean() - mean) <= error else f"mean {wide.mean()}, expected {mean} within {error}"
    return check


def _random_numbers(draw):
    like, shape = draw.name.endswith("Like"), draw.one((500,), (20, 30), (1, 700), (3, 0))
    if like:
        draw.retype("T2")
    kind = draw.kind(0, output=True)
    node = draw.node([draw.values(0, shape)] if like else [], dtype=helper.np_dtype_to_tensor_dtype(kind), seed=float(draw.whole(1, 99)))
    if not like:
        node.attributes["shape"] = list(shape)
    if "Normal" in draw.name:
        node.attributes |= {"mean": 1.5, "scale": 2.0}
        node.check = _check(kind, shape, -20, 20, 1.5, 2.0)
    else:
        node.attributes |= {"low": -1.0, "high": 3.0}
        node.check = _check(kind, shape, -1, 3, 1, 4 / 12 ** 0.5)
    return node


def _bernoulli(draw):
    draw.retype("T2")
    chance, kind = draw.one(0.0, 0.25, 1.0), draw.kind(0, output=True)
    node = draw.node([np.full(draw.one((600,), (30, 20)), chance).astype(draw.kind(0))], dtype=helper.np_dtype_to_tensor_dtype(kind), seed=float(draw.whole(1, 99)))
    node.check = _check(kind, node.inputs[0].shape, 0, 1, chance, 0.5)
    return node


def _multinomial(draw):
    draw.retype("T2")
    kind = draw.kind(0, output=True)
    logs = np.log(np.array([[0.2, 0.3, 0.5]] * 2)).astype(draw.kind(0))
    node = draw.node([logs], dtype=helper.np_dtype_to_tensor_dtype(kind), sample_size=600, seed=float(draw.whole(1, 99)))
    node.check = _check(to_numpy(draw.element(0, output=True)), (2, 600), 0, 2, 1.3, 0.8)
    return node


GENERATORS = {"Bernoulli": _bernoulli, "BlackmanWindow": _window, "DFT": _transform, "Det": _determinant, "Einsum": _einsum, "HammingWindow": _window, "HannWindow": _window,
              "MelWeightMatrix": _mel, "Multinomial": _multinomial, "RandomNormal": _random_numbers, "RandomNormalLike": _random_numbers, "RandomUniform": _random_numbers,
              "RandomUniformLike": _random_numbers, "STFT": _short_time}
