"""When two results are the same."""
import numpy as np

# (rtol, atol) by the reference's element type; 8- and 4-bit floats may be one step apart.
_TOLERANCE = {"float16": (1e-2, 1e-3), "bfloat16": (1e-2, 1e-3), "float32": (1e-3, 1e-5), "float64": (1e-3, 1e-5)}


def differs(found, expected, is_random: bool = False) -> str:
    """Returns why two results differ, or an empty string. Results of random operators are compared by type and shape."""
    if expected is None:
        return "" if found is None else "not None"
    if isinstance(expected, dict):
        same = isinstance(found, dict) and found.keys() == expected.keys()
        return differs([found[key] for key in expected], list(expected.values()), is_random) if same else "no map of the same keys"
    if isinstance(expected, (list, tuple)):
        if not isinstance(found, (list, tuple)) or len(found) != len(expected):
            return f"no sequence of {len(expected)}"
        reasons = (differs(mine, wanted, is_random) for mine, wanted in zip(found, expected))
        return next((f"element {k}: {reason}" for k, reason in enumerate(reasons) if reason), "")
    found, expected = np.asarray(found), np.asarray(expected)
    if found.dtype != expected.dtype:
        return f"type {found.dtype}, expected {expected.dtype}"
    if found.shape != expected.shape:
        return f"shape {found.shape}, expected {expected.shape}"
    if is_random or found.size == 0:
        return ""
    name = str(expected.dtype)
    if expected.dtype.kind in "biuSUO" or "int" in name:
        wrong = found != expected
    else:
        rtol, atol = _TOLERANCE.get(name, (0.26, 1e-3))
        wrong = ~np.isclose(found.astype(np.float64), expected.astype(np.float64), rtol, atol, equal_nan=True)
    if not np.any(wrong):
        return ""
    place = tuple(int(k) for k in np.argwhere(wrong)[0])
    return f"{int(np.sum(wrong))} of {found.size} elements, first at {place}: {found[place]!s}, expected {expected[place]!s}"


def is_near(found, expected, slack: float) -> bool:
    """True where a model's output is within 1e-3 of its largest magnitude, plus `slack`; integers and texts equal, 8-bit ones within one."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and found.keys() == expected.keys() and is_near(list(found.values()), [expected[key] for key in found], slack)
    if isinstance(expected, (list, tuple)):
        return isinstance(found, (list, tuple)) and len(found) == len(expected) and all(is_near(a, b, slack) for a, b in zip(found, expected))
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return False
    if expected.size == 0:
        return True
    if expected.dtype.kind in "bOSU":
        return bool(np.array_equal(found, expected))
    if expected.dtype.kind in "iu":
        return int(np.abs(found.astype(np.int64) - expected.astype(np.int64)).max()) <= (expected.dtype.itemsize == 1)
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    if not np.array_equal(np.isnan(found), np.isnan(expected)):
        return False
    same = found == expected  # infinities
    gap = np.where(same, 0, np.abs(found - expected))
    finite = np.abs(expected[np.isfinite(expected)])
    return bool(np.nanmax(gap, initial=0) <= 1e-3 * finite.max(initial=0) + slack + 1e-6)
