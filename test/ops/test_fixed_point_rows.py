"""Few rows times weights of few bits, in integers: x as fixed-point numbers below the largest of each block."""
import json

import numpy as np
import pytest

from support.few_bits import make_product
from support.machine import has_dot_product
from support.seeds import get_seed

DIGITS = "fixed-point numbers"
#: bits, block, inner, columns: whole and cut blocks, blocks longer than the 128 numbers that are summed at a time, a last group of one panel
SHAPES = [(8, 32, 96, 70), (4, 128, 384, 33), (8, 256, 600, 17), (4, 16, 33, 129), (2, 64, 100, 20)]

ROWS = {
    "normal": lambda random, shape: random.standard_normal(shape),
    "outliers": lambda random, shape: random.standard_normal(shape) * np.where(random.random(shape) < 0.02, 1e4, 1),
    "positive": lambda random, shape: 1 + random.random(shape),
    "largest mantissa": lambda random, shape: np.nextafter(np.float32(2), np.float32(0)) * random.choice([-1, 1], shape) * 2.0 ** random.integers(0, 3, shape),
    "all alike": lambda random, shape: np.full(shape, -1.9999999),
    "blocks apart": lambda random, shape: random.standard_normal(shape) * 10.0 ** (-30 + 20 * (np.arange(shape[1]) // 32 % 4)),
    "huge": lambda random, shape: random.standard_normal(shape) * 1e34,
    "denormal": lambda random, shape: random.standard_normal(shape) * 1e-39,
}


@pytest.fixture
def random():
    return np.random.default_rng(get_seed())


def _open(model: bytes, path, threads: int = 1, **options):
    import onager

    report = []
    artifact = onager.compile(model, path, report=report, **options)
    assert (DIGITS in json.loads(report[0])["numerics"]) == (has_dot_product() and not options)
    return onager.InferenceSession(artifact, threads=threads)


def _get_bound(x: np.ndarray, weight: np.ndarray, block: int) -> np.ndarray:
    """What rounding to fixed point may be off, and what a sum of f32 in any order may be on top."""
    padded = np.zeros((len(x), -(-x.shape[1] // block) * block))
    padded[:, : x.shape[1]] = np.abs(x)
    largest = np.repeat(padded.reshape(len(x), -1, block).max(2), block, 1)[:, : x.shape[1]]
    sums = np.abs(x.astype(np.float64)) @ np.abs(weight)
    return 2.0**-23 * (largest @ np.abs(weight)) + (x.shape[1] + 4) * 2.0**-24 * sums + 2.0**-149


@pytest.mark.parametrize("zero", ["bytes", "none", "floats"])
@pytest.mark.parametrize("bits, block, inner, columns", SHAPES)
def test_bound(bits, block, inner, columns, zero, random, tmp_path):
    model, weight = make_product(random, bits, block, inner, columns, zero)
    session = _open(model, tmp_path / "model.so")
    for name, make in ROWS.items():
        x = make(random, (4, inner)).astype(np.float32)
        # Where floats are multiplied, weights are fma(q, scale, -zero * scale): one of 0 is off by a rounding of the zero point's, which a large x shows.
        if name == "blocks apart" and zero == "bytes" and not has_dot_product():
            continue
        wanted, bound = x.astype(np.float64) @ weight, _get_bound(x, weight, block)
        # Zero points that are floats are taken off behind sums of numbers of one sign.
        bound *= 4 if zero == "floats" else 1
        assert (np.abs(session.run(None, {"x": x})[0] - wanted) <= bound).all(), name


def test_no_worse_than_floats(random, tmp_path):
    """Over many products the error is that of sums in f32, with and without numbers far above the others."""
    model, weight = make_product(random, 8, 32, 768, 256)
    sessions = _open(model, tmp_path / "digits.so"), _open(model, tmp_path / "floats.so", int8=False)
    for name in ("normal", "outliers", "positive"):
        x = ROWS[name](random, (8, 768)).astype(np.float32)
        wanted, sums = x.astype(np.float64) @ weight, np.abs(x.astype(np.float64)) @ np.abs(weight)
        digits, floats = (np.sqrt(np.mean(((session.run(None, {"x": x})[0] - wanted) / sums) ** 2)) for session in sessions)
        assert digits <= 2 * floats and digits < 2e-7, name


def test_any_number_of_rows_and_threads(random, tmp_path):
    """A row's bits do not depend on the rows beside it, on their number, nor on threads."""
    model, _ = make_product(random, 4, 32, 200, 500)
    alone, many = _open(model, tmp_path / "model.so"), _open(model, tmp_path / "model.so", threads=2)
    x = random.standard_normal((32, 200)).astype(np.float32)
    wanted = np.concatenate([alone.run(None, {"x": row[None]})[0] for row in x]) if has_dot_product() else many.run(None, {"x": x})[0]
    for rows in (2, 3, 5, 8, 31, 32) if has_dot_product() else (32,):
        for session in (alone, many):
            assert np.array_equal(session.run(None, {"x": x[:rows]})[0], wanted[:rows])


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_not_finite(value, random, tmp_path):
    """Rows with such numbers give what dequantised weights give; the others their products."""
    model, weight = make_product(random, 8, 32, 96, 40)
    x = random.standard_normal((3, 96)).astype(np.float32)
    x[1, 37] = value
    found = _open(model, tmp_path / "model.so").run(None, {"x": x})[0]
    with np.errstate(invalid="ignore"):
        wanted = x.astype(np.float64) @ weight
    if has_dot_product():
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-4)
    assert not np.isfinite(found[1]).any() and np.isfinite(found[[0, 2]]).all()


def test_option(random, tmp_path):
    """Without products of bytes rows stay f32, and the report says so."""
    model, weight = make_product(random, 4, 32, 64, 40)
    x = random.standard_normal((2, 64)).astype(np.float32)
    np.testing.assert_allclose(_open(model, tmp_path / "model.so", int8=False).run(None, {"x": x})[0], x @ weight, rtol=1e-5, atol=2e-5)
