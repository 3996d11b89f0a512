"""Models of one node, held against ONNX Runtime with and without symbolic dims."""
import numpy as np
from onnx import helper, numpy_helper

OPSETS = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]


def make_model(op: str, inputs: list, outputs, domain: str, opsets: list, fixed: tuple, symbolic: bool, attributes: dict, element: int = 0) -> bytes:
    """One node over inputs (None: absent); those at positions in `fixed` are initialisers; outputs (names or a count; "": absent) have no type but `element`."""
    names = ["" if value is None else f"i{k}" for k, value in enumerate(inputs)]
    results = [f"o{k}" for k in range(outputs)] if isinstance(outputs, int) else outputs
    infos, weights = [], []
    for k, value in enumerate(inputs):
        if value is None:
            continue
        if k in fixed:
            weights.append(numpy_helper.from_array(value, names[k]))
            continue
        free = symbolic and value.ndim > 1
        dims = [f"d{k}_{d}" if free and d != value.ndim - 1 else extent for d, extent in enumerate(value.shape)]
        infos.append(helper.make_tensor_value_info(names[k], helper.np_dtype_to_tensor_dtype(value.dtype), dims))
    shown = [helper.make_tensor_value_info(name, element, None) if element else helper.make_empty_tensor_value_info(name) for name in results if name]
    node = helper.make_node(op, names, results, domain=domain, **attributes)
    graph = helper.make_graph([node], "single", infos, shown, weights)
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def run_reference(model: bytes | str, feeds: dict) -> list:
    """Returns ONNX Runtime's results on one thread: what it quantises while running depends on their number.

    Without VNNI its products of unsigned and signed bytes saturate in between, but for an option here; that makes unsigned weights of signed ones, for
    which it has no kernel where the other operand is signed, and fails where weights are dequantised for other uses.
    """
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    def make_session(precise: str):
        options = onnxruntime.SessionOptions()
        options.add_session_config_entry("session.x64quantprecision", precise)
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        return onnxruntime.InferenceSession(model, options)

    try:
        session = make_session("1")
    except (state.NotImplemented, state.Fail):
        session = make_session("0")
    return session.run(None, feeds)


def compare_node(op: str, inputs: list, outputs=1, *, domain: str = "com.microsoft", opsets=OPSETS, fixed: tuple = (), symbolic: bool = True, steps: int = 0,
                 rtol: float = 1e-4, atol: float = 1e-5, wanted=None, element: int = 0, **attributes) -> None:
    """Compares with ONNX Runtime, or with what is wanted; integers must be equal, but for 8-bit results `steps` apart."""
    import onager

    inputs = [None if value is None else np.asarray(value) for value in inputs]
    feeds = {f"i{k}": value for k, value in enumerate(inputs) if value is not None and k not in fixed}
    models = [make_model(op, inputs, outputs, domain, opsets, fixed, free, attributes, element) for free in ({False, symbolic})]
    if wanted is None:
        wanted = run_reference(models[0], feeds)
    for model in models:
        found = onager.InferenceSession(model).run(None, feeds)
        assert len(found) == len(wanted)
        for a, b in zip(found, wanted):
            assert a.shape == b.shape and a.dtype == b.dtype, f"{a.dtype}{a.shape}, expected {b.dtype}{b.shape}"
            if b.dtype.kind in "biu":
                np.testing.assert_allclose(a.astype(np.int64), b.astype(np.int64), rtol=0, atol=steps)
            else:
                np.testing.assert_allclose(a.astype(np.float64), b.astype(np.float64), rtol=rtol, atol=atol)
