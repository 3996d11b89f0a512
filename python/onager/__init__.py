"""Onager: ONNX models compiled ahead of time to native code.

    path = onager.compile("model.onnx", "model.so")
    session = onager.InferenceSession(path)
    outputs = session.run(None, {"input": array})
"""
from ._errors import CompileError
from ._compile import compile
from ._compress import compress
from ._runtime import version as _version
from ._operators import Node, TensorType, load_operators, register_operator
from ._session import InferenceSession, NodeArg, VariantEvent
from ._train import train
from ._verify import verify

__all__ = ["CompileError", "InferenceSession", "Node", "NodeArg", "TensorType", "VariantEvent", "compile", "compress", "load_operators", "register_operator", "train", "verify"]
__version__ = _version()
