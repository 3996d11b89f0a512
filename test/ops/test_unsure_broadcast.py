"""Operands whose dims are only known while running to broadcast or not, along the last dim and others, in one unit with more operations."""
import numpy as np
import pytest
from onnx import TensorProto, helper

SHAPES = {"equal": ((3, 40), (3, 40)), "first": ((3, 1), (3, 40)), "second": ((3, 40), (3, 1)), "both": ((3, 1), (3, 1)), "row": ((1, 40), (3, 40)), "cross": ((3, 1), (1, 40)),
          "empty": ((3, 0), (3, 1)), "one_row": ((1, 5), (1, 5))}


@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_every_way_to_broadcast(rank, shapes, tmp_path):
    import onager

    names = [["A", "B", "C"][3 - rank :], ["D", "E", "F"][3 - rank :]]
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in zip("xy", names)]
    nodes = [helper.make_node("Mul", ["x", "y"], ["p"]), helper.make_node("Sub", ["p", "y"], ["z"])]
    graph = helper.make_graph(nodes, "broadcast", infos, [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    session = onager.InferenceSession(onager.compile(model, tmp_path / "model.so"), threads=2, recompile="off")
    x, y = (np.random.default_rng(k).standard_normal(((2, *shape) if rank == 3 else shape)[-rank:]).astype(np.float32) for k, shape in enumerate(SHAPES[shapes]))
    np.testing.assert_array_equal(session.run(None, {"x": x, "y": y})[0], x * y - y)
