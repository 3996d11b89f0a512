"""Runs a model by ONNX Runtime, by Onager and by Onager at -O0, and says where they differ. Meant for worker processes: it may crash."""
import numpy as np
import onnx

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


def compare(data: bytes, feeds: dict) -> tuple[str, str]:
    """Returns (verdict, reason): same, refused (by either side, with the reason), or wrong."""
    import onager

    names = [output.name for output in onnx.ModelProto.FromString(data).graph.output]
    try:
        expected = run_reference(data, feeds)
    except Exception as error:  # what the reference refuses is not compared
        return "refused", f"onnxruntime: {str(error)[:300]}"
    results = {}
    for level, options in (("O0", {"opt_level": 0}), ("O3", {})):
        try:
            results[level] = onager.InferenceSession(data, threads=2, **options).run(None, feeds)
        except onager.CompileError as error:
            return ("refused" if error.status == 3 else "wrong"), f"{level}: {str(error)[:300]}"
        except (ValueError, RuntimeError) as error:
            return "wrong", f"{level}: the run failed: {str(error)[:300]}"
    for level, found in results.items():
        for name, mine, reference in zip(names, found, expected):
            if reason := differs(mine, reference):
                return "wrong", f"{level}, output '{name}': {reason}"
    return "same", ""
