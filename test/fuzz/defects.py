"""What ONNX's reference implementation or ONNX Runtime gives that ONNX's text says otherwise, so that it judges no case of those operators.

Each has a test in test_defects.py, which fails once it is no longer true.
"""
import dataclasses
from collections.abc import Callable

REFERENCE, RUNTIME = "reference", "onnxruntime"


@dataclasses.dataclass
class Defect:
    """A judge that is not asked about some operators; `holds(version, types)` limits that, `types` being those of the binding."""
    judge: str
    operators: str
    text: str
    holds: Callable = lambda version, types: True


DEFECTS = []


def get_defect(judge: str, name: str, version: int, types: dict) -> Defect | None:
    """Returns why a judge is not asked about a case, or None."""
    return next((one for one in DEFECTS if one.judge == judge and name in one.operators.split() and one.holds(version, types)), None)
