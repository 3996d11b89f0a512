"""ONNX's backend interface: `onager.backend.prepare(model).run(inputs)`, as onnx.backend.base.Backend describes it."""
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx.backend.base import Backend, BackendRep, namedtupledict

from ._errors import CompileError
from ._session import InferenceSession


class OnagerRep(BackendRep):
    """A prepared model. Thread-safe."""

    def __init__(self, session: InferenceSession):
        self._session = session
        self._inputs = [node.name for node in session.get_inputs()]
        self._outputs = [node.name for node in session.get_outputs()]

    def run(self, inputs: Sequence[ArrayLike] | dict[str, ArrayLike], **kwargs: Any) -> tuple[np.ndarray, ...]:
        """Runs the model on a list in the order of its inputs, or on a dict by name; returns a named tuple."""
        feeds = inputs if isinstance(inputs, dict) else dict(zip(self._inputs, inputs, strict=True))
        return namedtupledict("Outputs", self._outputs)(*self._session.run(None, feeds))


class OnagerBackend(Backend):
    """Compiles with onager.compile; `threads` and the compiler's options are keyword arguments of prepare."""

    @classmethod
    def is_compatible(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> bool:
        """Tells whether the model compiles."""
        try:
            cls.prepare(model, device, **kwargs)
        except (CompileError, onnx.checker.ValidationError):
            return False
        return True

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> OnagerRep:
        """Checks and compiles a model; raises ValueError for another device than CPU, CompileError where the model is refused."""
        if not cls.supports_device(device):
            raise ValueError(f"device '{device}': expected CPU")
        super().prepare(model, device, **kwargs)
        return OnagerRep(InferenceSession(model.SerializeToString(), **kwargs))

    @classmethod
    def run_model(cls, model: onnx.ModelProto, inputs: Sequence[ArrayLike], device: str = "CPU", **kwargs: Any) -> tuple[np.ndarray, ...]:
        """Prepares a model and runs it once."""
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(cls, node: onnx.NodeProto, inputs: Sequence[np.ndarray], device: str = "CPU", outputs_info: Sequence[tuple[np.dtype, tuple[int, ...]]] | None = None,
                 **kwargs: Any) -> tuple[np.ndarray, ...]:
        """Runs one node; its inputs get the types and shapes of the arrays."""
        super().run_node(node, inputs, device, outputs_info, **kwargs)
        tensors = [onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
                   for name, value in zip((name for name in node.input if name), inputs, strict=True)]
        outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
        for value, info in zip(outputs, outputs_info or []):
            value.CopyFrom(onnx.helper.make_tensor_value_info(value.name, onnx.helper.np_dtype_to_tensor_dtype(info[0]), info[1]))
        model = onnx.helper.make_model(onnx.helper.make_graph([node], "node", tensors, outputs))
        # The checker wants types of outputs.
        return cls.run_model(onnx.shape_inference.infer_shapes(model), inputs, device, **kwargs)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Tells whether a device, "CPU" or "CPU:0", is there."""
        return device.split(":")[0] == "CPU"


is_compatible = OnagerBackend.is_compatible
prepare = OnagerBackend.prepare
run = OnagerBackend.run_model
run_node = OnagerBackend.run_node
supports_device = OnagerBackend.supports_device
