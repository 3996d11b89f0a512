"""Generators for operators that work element by element."""
import numpy as np

# Where functions are defined; others take numbers of both signs.
_BOUNDS = {"Acos": (-0.9, 0.9), "Asin": (-0.9, 0.9), "Atanh": (-0.9, 0.9), "Acosh": (1.1, 6), "Log": (0.2, 6), "Sqrt": (0, 6), "Reciprocal": (0.5, 6), "Tan": (-1.2, 1.2),
           "Cosh": (-3, 3), "Sinh": (-3, 3), "Exp": (-3, 3)}
_UNARY = ("Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Ceil Cos Cosh Erf Exp Floor HardSwish Identity IsNaN Log Mish Neg Not Reciprocal Relu Round Sigmoid Sign Sin Sinh "
          "Softplus Softsign Sqrt Tan Tanh")
_PARAMETERS = {"Celu": ["alpha"], "Elu": ["alpha"], "HardSigmoid": ["alpha", "beta"], "LeakyRelu": ["alpha"], "Selu": ["alpha", "gamma"], "Shrink": ["bias", "lambd"],
               "Swish": ["alpha"], "ThresholdedRelu": ["alpha"]}
_BINARY = "Add And BitwiseAnd BitwiseOr BitwiseXor Equal Greater GreaterOrEqual Less LessOrEqual Mul Or Sub Xor"


def _unary(draw):
    return draw.node([draw.values(0, draw.shape(), *_BOUNDS.get(draw.name, (-6, 6)))])


def _with_parameters(draw):
    chosen = {name: float(np.float32(draw.random.uniform(0.3, 1.5))) for name in _PARAMETERS[draw.name] if draw.random.random() < 0.7}
    return draw.node([draw.values(0, draw.shape(), -4, 4)], **chosen)


def _shapes(draw, count: int) -> list:
    """Shapes that broadcast; equal ones before operators broadcast as NumPy does."""
    return [draw.shape()] * count if draw.version < 7 or (count > 2 and draw.version < 8) else draw.broadcast(count)


def _binary(draw):
    return draw.node([draw.values(place, shape) for place, shape in enumerate(_shapes(draw, 2))])


def _div(draw):
    a, b = _shapes(draw, 2)
    return draw.node([draw.values(0, a), draw.values(1, b, 1, 6)])


def _mod(draw):
    a, b = draw.broadcast(2)
    remainder = int("float" in draw.element(0) or draw.random.random() < 0.5)
    return draw.node([draw.values(0, a), draw.values(1, b, 1, 6)], fmod=remainder)


def _pow(draw):
    a, b = _shapes(draw, 2)
    return draw.node([draw.values(0, a, 1, 3), draw.values(1, b, 0, 3)])


def _shift(draw):
    a, b = draw.broadcast(2)
    return draw.node([draw.values(0, a, 0, 15), draw.values(1, b, 0, 3)], direction=draw.one("LEFT", "RIGHT"))


def _variadic(draw):
    count = int(draw.random.integers(1, 5))
    shapes = [draw.shape()] * count if draw.version < 8 else draw.broadcast(count)
    return draw.node([draw.values(0, shape) for shape in shapes])


def _clip(draw):
    x = draw.values(0, draw.shape())
    if len(draw.schema.inputs) == 1:
        return draw.node([x], min=-1.5, max=2.5)
    low, high = draw.one((True, True), (True, False), (False, True), (False, False))
    return draw.node([x, draw.values(0, (), 0, 1) if low else None, draw.values(0, (), 2, 4) if high else None][:2 if low and not high else 3 if high else 1])


def _where(draw):
    a, b, c = draw.broadcast(3)
    return draw.node([draw.values(0, a), draw.values(1, b), draw.values(1, c)])


def _is_inf(draw):
    x = np.atleast_1d(draw.values(0, draw.shape()))
    special = np.array([np.inf, -np.inf, np.nan, 1]).astype(x.dtype)
    return draw.node([draw.random.choice(special, x.shape)], detect_negative=draw.one(0, 1), detect_positive=draw.one(0, 1))


def _prelu(draw):
    shape = draw.shape()
    slope = shape if draw.version < 7 else tuple(draw.one(1, extent) for extent in shape)
    return draw.node([draw.values(0, shape), draw.values(1, slope, 0, 1)])


def _gelu(draw):
    return draw.node([draw.values(0, draw.shape())], approximate=draw.one("none", "tanh"))


GENERATORS = {name: _unary for name in _UNARY.split()} | {name: _with_parameters for name in _PARAMETERS} | {name: _binary for name in _BINARY.split()}
GENERATORS |= {name: _variadic for name in ("Max", "Mean", "Min", "Sum")}
GENERATORS |= {"BitShift": _shift, "Clip": _clip, "Div": _div, "Gelu": _gelu, "IsInf": _is_inf, "Mod": _mod, "PRelu": _prelu, "Pow": _pow, "Where": _where}
