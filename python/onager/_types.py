"""Element types: ONNX's numbers, names and the types of NumPy that stand for them."""
import numpy as np

from . import _runtime

NAMES = {1: "float", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string", 9: "bool", 10: "float16", 11: "double", 12: "uint32", 13: "uint64",
         16: "bfloat16", 17: "float8e4m3fn", 18: "float8e4m3fnuz", 19: "float8e5m2", 20: "float8e5m2fnuz", 21: "uint4", 22: "int4", 23: "float4e2m1",
         24: "float8e8m0", 25: "uint2", 26: "int2"}
"""As ONNX Runtime writes them."""

_NUMPY = {1: np.float32, 2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16, 6: np.int32, 7: np.int64, 8: np.object_, 9: np.bool_, 10: np.float16, 11: np.float64,
          12: np.uint32, 13: np.uint64}
_SMALL = {16: "bfloat16", 17: "float8_e4m3fn", 18: "float8_e4m3fnuz", 19: "float8_e5m2", 20: "float8_e5m2fnuz", 21: "uint4", 22: "int4", 23: "float4_e2m1fn",
          24: "float8_e8m0fnu", 25: "uint2", 26: "int2"}


def _find_types() -> dict[int, np.dtype]:
    types = {number: np.dtype(dtype) for number, dtype in _NUMPY.items()}
    try:
        import ml_dtypes
    except ImportError:  # models with these types then cannot be run from Python
        return types
    types.update({number: np.dtype(getattr(ml_dtypes, name)) for number, name in _SMALL.items() if hasattr(ml_dtypes, name)})
    return types


DTYPES = _find_types()
"""NumPy's types by number; strings are objects."""

for _number, _dtype in DTYPES.items():
    if _number != 8:
        _runtime.set_type(_number, _dtype)


def find_number(dtype: np.dtype) -> int:
    """Returns ONNX's number of a type; strings of any kind are 8. Raises TypeError where there is none."""
    if dtype.kind in "OUS":
        return 8
    for number, known in DTYPES.items():
        if known == dtype:
            return number
    raise TypeError(f"no ONNX element type is {dtype}")
