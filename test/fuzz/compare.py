"""Runs a model by ONNX Runtime and by Onager, and says where they differ. Meant for worker processes: it may crash.

A form is options of a compilation. The quick ones have the passes of -O3 and the code generation that takes the least time. With `variant` a form also has
code for the shapes that it is run on: made with the artifact, for a guard that holds for them ("ahead SEED"), or by the session ("session").
"""
import os
import random
import tempfile
import warnings

import numpy as np
import onnx

from support.machine import has_level

TARGETS = ("x86-64-v2", "x86-64-v3", "x86-64-v4", "native")
FULL = ({"opt_level": 0}, {})  # the reference form, and what users get
FULL_EVERY = 16
AHEAD_OF_8, SESSION_OF_8 = (1, 5), (3,)  # the seeds, modulo 8, whose quick form has a variant
# Differences that count, relative to the largest magnitude of a tensor; sums of f32 in another order differ by less.
_TOLERANCE = {"float16": 4e-2, "float32": 1e-3, "float64": 1e-3}  # f64 values may come from f32 ones


def differs(found: np.ndarray, expected: np.ndarray) -> str:
    """Returns why two results are not the same up to rounding, or an empty string."""
    if found.dtype != expected.dtype or found.shape != expected.shape:
        return f"{found.dtype}{list(found.shape)}, expected {expected.dtype}{list(expected.shape)}"
    if expected.dtype.kind != "f":
        wrong = found != expected
    else:
        a, b = found.astype(np.float64), expected.astype(np.float64)
        finite = np.abs(b[np.isfinite(b)])
        with np.errstate(invalid="ignore"):
            wrong = ~((a == b) | (np.isnan(a) & np.isnan(b)) | (np.abs(a - b) <= _TOLERANCE[str(expected.dtype)] * max(1.0, finite.max(initial=0))))
    if not wrong.any():
        return ""
    place = tuple(int(k) for k in np.argwhere(wrong)[0])
    return f"{int(wrong.sum())} of {found.size} elements, first at {place}: {found[place]}, expected {expected[place]}"


def run_reference(data: bytes, feeds: dict) -> list:
    """Runs ONNX Runtime without its own optimisations."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"]).run(None, feeds)


def draw_forms(seed: int) -> tuple[dict, ...]:
    """Returns the forms in which the graph of a seed is compared: a quick one, three of eight with a variant, or the reference form and -O3 for every sixteenth seed."""
    target = {"target": random.Random(f"target of {seed}").choice(TARGETS)}
    if not has_level(target["target"]):
        target = {"target": "native"}
    if seed % FULL_EVERY == 0:
        return {"opt_level": 0}, target
    variant = f"ahead {seed}" if seed % 8 in AHEAD_OF_8 else "session" if seed % 8 in SESSION_OF_8 else ""
    return ({"opt_level": 1} | target | ({"variant": variant} if variant else {}),)


def _name(form: dict) -> str:
    return " ".join([f"O{form.get('opt_level', 3)}", form.get("target", "native"), *([f"variant {form['variant']}"] if "variant" in form else [])])


def read_symbols(data: bytes, feeds: dict) -> dict[str, int]:
    """Returns the symbols of a model's inputs with the extents that they have in a run."""
    return {dim.dim_param: extent for item in onnx.ModelProto.FromString(data).graph.input
            for dim, extent in zip(item.type.tensor_type.shape.dim, feeds[item.name].shape) if dim.dim_param}


def draw_guard(symbols: dict[str, int], seed: str) -> str:
    """Returns a guard that holds for these extents: numbers for most symbols, multiples for some, nothing about others. A symbol has the same one among any others."""
    atoms = []
    for name, extent in symbols.items():
        draw = random.Random(f"guard of {name} in {seed}")
        kind = draw.random()
        if kind < 0.6:
            atoms.append(f"{name}={extent}")
        elif kind < 0.8:
            divisor = draw.choice([number for number in range(1, max(extent, 1) + 1) if extent % number == 0])
            atoms.append(f"{name}={divisor * draw.randint(0, extent // divisor)}:{extent + divisor * draw.randint(0, 3)}:{divisor}")
    return ",".join(atoms)


def _run_form(data: bytes, feeds: dict, form: dict) -> list:
    """Compiles a model to a file of its own, which is gone once it is loaded, and runs it. A variant that was made must be what runs."""
    import onager

    options = dict(form)
    kind = options.pop("variant", "")
    symbols = read_symbols(data, feeds)
    if kind.startswith("ahead") and (guard := draw_guard(symbols, kind)):
        options["variant"] = guard
    with tempfile.TemporaryDirectory() as folder:
        path = onager.compile(data, os.path.join(folder, "model.so"), **options)
        session = onager.InferenceSession(path, threads=2, recompile="eager" if kind == "session" else "off", cache="")
    if kind == "session":
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            session.warm_up(feeds)
    results = session.run(None, feeds)
    if session.stats()["misses"] and session.stats()["variants"]:
        raise RuntimeError(f"the variant did not run: {session.stats()}")
    return results


def _ask_reference(data: bytes, feeds: dict, place: int, found: np.ndarray) -> str:
    """Says whom ONNX's reference implementation agrees with, which is too slow to be asked about all graphs."""
    from onnx.reference import ReferenceEvaluator

    try:
        reason = differs(found, np.asarray(ReferenceEvaluator(onnx.ModelProto.FromString(data)).run(None, feeds)[place]))
    except Exception as error:  # it lacks operators and types
        return f"the reference cannot tell: {str(error)[:100]}"
    return f"the reference differs, too: {reason}" if reason else "the reference agrees with Onager"


def compare(data: bytes, feeds: dict, forms: tuple[dict, ...] = FULL) -> tuple[str, str]:
    """Returns (verdict, reason): same, refused (by either side, with the reason), or wrong."""
    import onager

    names = [output.name for output in onnx.ModelProto.FromString(data).graph.output]
    try:
        expected = run_reference(data, feeds)
    except Exception as error:  # what the reference refuses is not compared
        return "refused", f"onnxruntime: {str(error)[:300]}"
    for form in forms:
        try:
            results = _run_form(data, feeds, form)
        except onager.CompileError as error:
            return ("refused" if error.status == 3 else "wrong"), f"{_name(form)}: {str(error)[:300]}"
        except (ValueError, RuntimeError, RuntimeWarning) as error:
            return "wrong", f"{_name(form)}: the run failed: {str(error)[:300]}"
        for place, (name, mine, wanted) in enumerate(zip(names, results, expected)):
            if reason := differs(mine, wanted):
                return "wrong", f"{_name(form)}, output '{name}': {reason}; {_ask_reference(data, feeds, place, mine)}"
    return "same", ""
