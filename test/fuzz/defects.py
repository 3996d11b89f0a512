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


DEFECTS = [
    Defect(REFERENCE, "ReduceSumSquare", "results have the type T of the input by the schema; NumPy's sum widens 32-bit integers", lambda version, types: "int32" in types["T"]),
    Defect(REFERENCE, "RoiAlign", "version 10 has no half pixel to take off, which its implementation of version 16 does by that version's default", lambda version, types: version == 10),
    Defect(REFERENCE, "AffineGrid", "the grid has the type T1 of theta by the schema; it is computed and given in f32", lambda version, types: types["T1"] == "double"),
    Defect(REFERENCE, "Gemm", "Y = alpha A B + beta C by the text; without broadcasting C is added as it is, and f16 becomes f32", lambda version, types: version == 6),
    Defect(REFERENCE, "Resize", "pytorch_half_pixel reads the first place where the resized length is 1 by the text; a quotient above 1 that is cut to 1 counts as more",
           lambda version, types: False),  # the generator names the nodes
    Defect(REFERENCE, "TfIdfVectorizer", "a weight belongs to the n-gram at its place in the pool by the text; it takes that at the place of the output"),
    Defect(REFERENCE, "SequenceInsert", "position n of n elements is behind the last by the text; it is taken modulo n"),
    Defect(RUNTIME, "ReduceLogSumExp", "the logarithm of the sum of e^x by the text; of integers it cuts each e^(x - largest), which leaves the largest and its count",
           lambda version, types: "int" in types["T"]),
    *(Defect(judge, "BlackmanWindow", "the schema's body computes in f32; f64 gives 1 where that gives 0.99999994, which integers are cut to 0 from",
             lambda version, types: "int" in types["T2"]) for judge in (REFERENCE, RUNTIME)),
    Defect(REFERENCE, "SVMClassifier", "scores are tensor(float) by the schema; they have the type of the input"),
]


def get_defect(judge: str, name: str, version: int, types: dict) -> Defect | None:
    """Returns why a judge is not asked about a case, or None."""
    return next((one for one in DEFECTS if one.judge == judge and name in one.operators.split() and one.holds(version, types)), None)
