"""What a node should give: from its generator, ONNX's reference implementation or ONNX Runtime, in this order."""
import dataclasses

import ml_dtypes
import numpy as np
import onnx
from onnx import helper

from fuzz import schemas
from fuzz.defects import REFERENCE, RUNTIME, get_defect
from fuzz.draw import Fixed, Node, Typed, to_numpy
from fuzz.node_models import make_feeds, make_model, make_part
from support.compare import differs

NEWEST = {"": 26, "ai.onnx.ml": 5, "com.microsoft": 1}  # the operator sets that ONNX Runtime has
SHORT = (np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16))


def _open_reference(model):
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(model)


def _open_runtime(model):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.x64quantprecision", "1")
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


IN_F32 = "f32"  # stands for results that is_right_in_f32 judges

OPENERS = {REFERENCE: _open_reference, RUNTIME: _open_runtime}


class Judge:
    """One judge of one case: opened once, asked for each turn."""

    def __init__(self, name: str, case: tuple):
        self.name, self.case, self.session = name, case, None

    def _get_opset(self) -> tuple:
        domain, version = schemas.get_opset(self.case)
        return domain, max(self.case[2], min(version, NEWEST[domain])) if self.name == RUNTIME else version

    def ask(self, drawn: Node) -> list:
        if self.session is None:
            opset = self._get_opset()
            self.session = OPENERS[self.name](make_model([make_part(self.case, drawn)], opset))
        return self.session.run(None, make_feeds(drawn))


def _get_types(case: tuple) -> dict:
    return schemas.get_bindings(case[:3])[case[3]]


def list_judges(case: tuple) -> list:
    names = [RUNTIME] if case[0] == "com.microsoft" else [REFERENCE, RUNTIME]
    return [Judge(name, case) for name in names if not get_defect(name, case[1], case[2], _get_types(case))]


def expect(case: tuple, drawn: Node, judges: list) -> tuple:
    """Returns (results, ""), or (None, why there are none). A judge that fails once is not asked again: it leaves the list."""
    if drawn.wanted is not None:
        return [settle(value) for value in drawn.wanted], ""
    reasons = []
    for judge in [judge for judge in judges if judge.name != drawn.unasked]:
        try:
            return [settle(value) for value in judge.ask(drawn)], ""
        except Exception as error:  # judges lack many operators, versions and types
            reasons.append(f"{judge.name}: {str(error)[:160]}")
            judges.remove(judge)
    # ONNX Runtime's Python takes no arrays of bfloat16: what it gives in f32 is rounded.
    if case[0] == "com.microsoft" and any(np.asarray(getattr(value, "value", value)).dtype == SHORT[1] for value in drawn.inputs if value is not None):
        return IN_F32, ""
    return None, "; ".join(reasons) or "no judge"


def settle(value):
    """Texts are objects, numbers arrays."""
    if isinstance(value, (list, tuple, dict)) or value is None:
        return value
    value = np.asarray(value)
    return value.astype(object) if value.dtype.kind == "U" else value


def _widen(drawn: Node) -> Node:
    """Returns the node with f32 in place of 16-bit floats."""
    change = lambda array: array.astype(np.float32) if array.dtype in SHORT else array
    inputs = []
    for value in drawn.inputs:
        if isinstance(value, Fixed):
            inputs.append(Fixed(change(np.asarray(value.value))))
        else:
            inputs.append(value if value is None or isinstance(value, Typed) else change(np.asarray(value)))
    return dataclasses.replace(drawn, inputs=inputs)


def is_right_in_f32(case: tuple, drawn: Node, found: list) -> bool:
    """True where results of 16-bit floats are what a judge gives in f32, rounded once: in 16 bits it rounds each step of its own."""
    if not any(isinstance(value, np.ndarray) and value.dtype in SHORT for value in found):
        return False
    for judge in list_judges(case):
        try:
            wide = judge.ask(_widen(drawn))
        except Exception:  # the next one may have it
            continue
        wanted = [np.asarray(value).astype(mine.dtype) if isinstance(mine, np.ndarray) and mine.dtype in SHORT else settle(value) for mine, value in zip(found, wide)]
        return not differ(found, wanted, (0.02, 0.02))
    return False


def differ(found: list, wanted: list, loose: tuple | None = None, steps: int = 0) -> str:
    """As differs; with a tolerance, floats are held within its second part of the largest magnitude as well as its first of each, integers in steps."""
    reason = differs(found, wanted)
    if not reason or not (loose or steps) or len(found) != len(wanted):
        return reason
    for mine, value in zip(found, wanted):
        if not differs(mine, value):
            continue
        value = np.asarray(value)
        if not isinstance(mine, np.ndarray) or mine.shape != value.shape or mine.dtype != value.dtype or value.dtype.kind in "bSUO":
            return reason
        if "int" in value.dtype.name:
            if np.abs(mine.astype(np.int64) - value.astype(np.int64)).max(initial=0) > steps:
                return reason
            continue
        if not loose:
            return reason
        mine, value = mine.astype(np.float64), value.astype(np.float64)
        largest = np.abs(value[np.isfinite(value)]).max(initial=0)
        if not np.isclose(mine, value, loose[0], loose[1] * largest, equal_nan=True).all():
            return reason
    return ""


def compare(case: tuple, drawn: Node, found: list, wanted: list) -> str:
    """Returns how results differ from what is expected, or an empty string; 16-bit floats are held within 4 % of the largest, which judges round."""
    if drawn.check is not None:
        return drawn.check(found)
    if isinstance(wanted, str):
        return "" if is_right_in_f32(case, drawn, found) else "not what is given in f32"
    loose = drawn.loose
    if loose is None and any(isinstance(value, np.ndarray) and value.dtype == SHORT[1] for value in wanted):
        loose = (0.01, 0.04)
    reason = differ(found, wanted, loose, drawn.steps)
    return "" if not reason or drawn.wanted is None and is_right_in_f32(case, drawn, found) else reason


def find_agreeing(case: tuple, drawn: Node, found: list) -> str:
    """Names the judges that give the same, for who reads of a difference."""
    names = []
    for judge in [Judge(name, case) for name in OPENERS]:
        try:
            if not differ(found, [settle(value) for value in judge.ask(drawn)], drawn.loose or (0.01, 0.01), drawn.steps):
                names.append(judge.name)
        except Exception:  # it has no opinion
            continue
    return f" [{', '.join(names)} agree{'s' * (len(names) == 1)} with Onager]" if names else ""
