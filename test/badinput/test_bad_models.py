"""Hundreds of damaged models: each compiles and runs, or is refused with a message; none crashes, hangs or is an internal error.

ONAGER_TEST_SEED=N repeats a run, ONAGER_TEST_CASES=N sets how many damages each sample gets (60), ONAGER_TEST_TOOL=1 goes through the command line
instead of the Python package, so that another build can be tested.
"""
import os
import pathlib
import tempfile

import onnx
import pytest

from badinput.mutate import damage
from support.samples import make_feeds, make_samples, parse
from support.seeds import get_seed
from support.tool import run_onager
from support.workers import run_tasks

CASES = int(os.environ.get("ONAGER_TEST_CASES", "60"))
BY_TOOL = os.environ.get("ONAGER_TEST_TOOL") == "1"


def _compile(data: bytes, output: pathlib.Path) -> tuple[int, str]:
    """Compiles by the package or the tool and returns status and error."""
    import onager

    if BY_TOOL:
        found = run_onager("compile", "-", "-o", output, input=data)
        return found.returncode, found.stderr
    try:
        onager.compile(data, output)
        return 0, ""
    except onager.CompileError as error:
        return error.status, str(error)


def _judge(data: bytes, folder: str) -> tuple[str, str]:
    """Compiles and runs a model that may be anything: fine, refused or wrong, and why."""
    import onager

    output = pathlib.Path(folder) / "m.so"
    status, text = _compile(data, output)
    if status:
        if output.exists() or list(output.parent.iterdir()):
            return "wrong", "a refused model leaves a file"
        return ("refused" if status in (3, 4) and text.strip() else "wrong"), f"status {status}: {text[-2000:] if BY_TOOL else text[:300]}"
    if BY_TOOL:
        found = run_onager("run", output, "--input", "random")
        return ("fine" if found.returncode in (0, 2, 4) else "wrong"), found.stderr[-2000:]
    session = onager.InferenceSession(str(output), threads=1)
    feeds = make_feeds(session)
    if feeds is not None:
        try:
            session.run(None, feeds)
        except (ValueError, RuntimeError, MemoryError) as error:
            return "fine", f"{error}"[:300]
    return "fine", ""


def try_damaged(task) -> tuple[str, str]:
    """Damages a sample by (name, seed, number) and judges what happens."""
    name, seed, number = task
    with tempfile.TemporaryDirectory() as folder:
        return _judge(damage(make_samples()[name], task), folder)


def test_damaged_models():
    seed = get_seed()
    results = run_tasks(try_damaged, [(name, seed, number) for name in make_samples() for number in range(CASES)], seconds=60)
    bad = {task: result for task, result in results.items() if result[0] not in ("fine", "refused")}
    counts = {verdict: sum(result[0] == verdict for result in results.values()) for verdict in ("fine", "refused")}
    print(f"\n{len(results)} damaged models: {counts}")
    assert not bad, "\n".join(f"{task}: {result[0]} {result[1]}" for task, result in sorted(bad.items()))
    assert min(counts.values()) > 0, counts


@pytest.mark.parametrize("name", make_samples())
def test_undamaged_models(name, tmp_path):
    verdict, text = _judge(make_samples()[name], str(tmp_path))
    # The tool draws indices that may be out of range.
    assert verdict == "fine" and (BY_TOOL or "error" not in text), text


def _refuse(data, tmp_path, status, *parts):
    output = tmp_path / "m.so"
    output.write_bytes(b"as it was")
    found, text = _compile(data.SerializeToString() if isinstance(data, onnx.ModelProto) else data, output)
    assert found == status, text
    for part in parts:
        assert part in text
    assert output.read_bytes() == b"as it was"
    assert [path.name for path in tmp_path.iterdir()] == ["m.so"]
    return text


def test_cycle(tmp_path):
    _refuse(parse("(float[2] x) => (y) { a = Add(b, x)\n b = Relu(a)\n y = Relu(b) }"), tmp_path, 3, "node 'a'", "input 'b' is not defined by any node before it")


def test_self_reference(tmp_path):
    _refuse(parse("(float[2] x) => (y) { y = Add(y, x) }"), tmp_path, 3, "node 'y'", "input 'y' is not defined by any node before it")


def test_duplicate_values(tmp_path):
    _refuse(parse("(float[2] x) => (y) { y = Relu(x)\n y = Neg(x) }"), tmp_path, 3, "output 'y' is defined twice")
    _refuse(parse("(float[2] x, float[2] x) => (y) { y = Relu(x) }"), tmp_path, 4, "input 'x' is defined twice")


def test_unknown_operators_are_all_listed(tmp_path):
    text = _refuse(parse("(float[2] x) => (z) { [first] a = Nothing(x)\n b = Relu(x)\n [second] z = Nothing(b) }"), tmp_path, 3,
                   "node 'first' (op Nothing, domain ai.onnx, opset 21): the operator is not known", "node 'second' (op Nothing")
    assert len(text.splitlines()) == 2


def test_unknown_attribute(tmp_path):
    _refuse(parse("(float[2] x) => (y) { y = Relu<slope = 1.0>(x) }"), tmp_path, 3, "node 'y' (op Relu", "attribute 'slope' is not known")


def test_too_many_operands(tmp_path):
    _refuse(parse("(float[2] x) => (y) { y = Relu(x, x) }"), tmp_path, 3, "2 inputs, expected at most 1")
    _refuse(parse("(float[2] x) => (y) { y, z = Relu(x) }"), tmp_path, 3, "2 outputs, expected at most 1")


@pytest.mark.parametrize("header, part", [('ir_version: 10, opset_import: ["" : 99]', "operator set 99"), ('ir_version: 10, opset_import: ["" : 0]', "operator set 0"),
                                          ('ir_version: 99, opset_import: ["" : 21]', "IR version 99")])
def test_versions_from_the_future(header, part, tmp_path):
    _refuse(onnx.parser.parse_model(f"<{header}> g (float[2] x) => (y) {{ y = Relu(x) }}"), tmp_path, 3, part)


def test_wrong_output_type(tmp_path):
    _refuse(parse("(float[2] x) => (int64[2] y) { y = Relu(x) }"), tmp_path, 3, "output 'y'", "INT64", "FLOAT")


def test_wrong_size_of_initializer(tmp_path):
    model = onnx.ModelProto.FromString(make_samples()["network"])
    model.graph.initializer[0].dims[0] = 5
    _refuse(model, tmp_path, 4, "initializer 'w'", "432 bytes", "540")
    model.graph.initializer[0].dims[0] = -4
    _refuse(model, tmp_path, 4, "initializer 'w'")


def test_invalid_utf8_in_names(tmp_path):
    data = parse("(float[2] x) => (y) { [naame] y = Nothing(x) }").SerializeToString()
    assert b"naame" in data
    _refuse(data.replace(b"naame", b"n\xff\xc0me"), tmp_path, 3, "n\ufffd\ufffdme", "the operator is not known")
    data = parse("(float[2] xaame, float[daame] d) => (y) { y = Relu(xaame) }").SerializeToString()
    _refuse(data.replace(b"xaame", b"x\xff\xc0me"), tmp_path, 4, "is not UTF-8")
    _refuse(data.replace(b"daame", b"d\xff\xc0me"), tmp_path, 4, "is not UTF-8")


def _nest(depth: int) -> onnx.ModelProto:
    text = "a0 = Neg(x)"
    for k in range(1, depth + 1):
        text = f"a{k} = If<then_branch = t{k} () => (float[2] a{k - 1}) {{ {text} }}, else_branch = e{k} () => (float[2] b{k}) {{ b{k} = Exp(x) }}>(c)"
    return parse(f"(bool c, float[2] x) => (y) {{ {text}\n y = Relu(a{depth}) }}")


def test_deep_nesting(tmp_path):
    assert _compile(_nest(12).SerializeToString(), tmp_path / "deep.so") == (0, "")
    (tmp_path / "deep.so").unlink()
    _refuse(_nest_bytes(4000), tmp_path, 4, "nested too deeply")


def test_deep_nesting_in_text(tmp_path):
    """ONNX's own parser of text calls itself for each bracket."""
    inside = "y = If<then_branch = t () => (float[2] y) {" * 20000 + "y = Neg(x)" + "}, else_branch = e () => (float[2] y) { y = Exp(x) }>(c)" * 20000
    header = '<ir_version: 10, opset_import: ["" : 21]> g '
    _refuse(f"{header}(bool c, float[2] x) => (y) {{ {inside} }}".encode(), tmp_path, 4, "nested too deeply")
    _refuse(f"{header}({'seq(' * 200000}float[2]{')' * 200000} x) => (y) {{ y = Identity(x) }}".encode(), tmp_path, 4, "nested too deeply")


def _make_calls(depth: int) -> bytes:
    """A function that calls another twice, which calls another twice, ..."""
    functions = ['<domain: "l", opset_import: ["" : 21, "l" : 1]> f0 (a) => (b) { b = Neg(a) }']
    functions += [f'<domain: "l", opset_import: ["" : 21, "l" : 1]> f{k} (a) => (b) {{ c = l.f{k - 1}(a)\n b = l.f{k - 1}(c) }}' for k in range(1, depth)]
    text = f'<ir_version: 10, opset_import: ["" : 21, "l" : 1]> g (float[2] x) => (y) {{ y = l.f{depth - 1}(x) }}\n' + "\n".join(functions)
    return onnx.parser.parse_model(text).SerializeToString()


def test_functions_that_double(tmp_path):
    _refuse(_make_calls(40), tmp_path, 3, "functions are more than 262,144 nodes")
    (tmp_path / "m.so").unlink()
    assert _compile(_make_calls(8), tmp_path / "m.so") == (0, "")


def test_stacked_repetitions_of_a_pattern(tmp_path):
    model = parse('(string[2] x) => (y) { y = RegexFullMatch<pattern = "a">(x) }')
    model.graph.node[0].attribute[0].s = b"a" + b"*" * 200000
    _refuse(model, tmp_path, 3, "too many repetitions of one another")


def _nest_bytes(depth: int) -> bytes:
    """A model of `depth` nested branches, written field by field: protobuf itself does not serialise that deep."""
    def field(number: int, payload: bytes) -> bytes:
        size, length = len(payload), b""
        while size >= 0x80:
            length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
        return bytes([number << 3 | 2]) + length + bytes([size]) + payload

    graph = field(1, field(2, b"y") + field(4, b"Neg"))
    for _ in range(depth):
        attribute = field(1, b"then_branch") + field(6, graph) + bytes([20 << 3 & 0x7F | 0x80, 1, 5])
        graph = field(1, field(2, b"y") + field(4, b"If") + field(5, attribute))
    return bytes([1 << 3, 8]) + field(8, bytes([2 << 3, 17])) + field(7, graph)


@pytest.mark.parametrize("data", [b"\x00", b"\xff" * 64, b"not a model", b"<ir_version: 10", b"\x7fELF" + b"\0" * 100, b"\x08\x0a\xff\xff"], ids=range(6))
def test_other_bytes(data, tmp_path):
    _refuse(data, tmp_path, 4)


def _change_segment(tensor):
    tensor.segment.begin, tensor.segment.end = 0, 1


def _change_boolean(tensor):
    tensor.data_type, tensor.raw_data = onnx.TensorProto.BOOL, bytes([2]) * 108


def _change_type(tensor):
    tensor.data_type = onnx.TensorProto.COMPLEX64


TENSORS = {"segment": (_change_segment, "a constant in segments is not supported"), "boolean": (_change_boolean, "holds a boolean that is neither 0 nor 1"),
           "type": (_change_type, "a constant of element type COMPLEX64 is not supported")}


@pytest.mark.parametrize("case", TENSORS)
def test_wrong_tensors(case, tmp_path):
    change, part = TENSORS[case]
    model = onnx.ModelProto.FromString(make_samples()["network"])
    change(model.graph.initializer[0])
    # A type that ONNX has makes a model that is refused, anything else a damaged file.
    _refuse(model, tmp_path, 3 if case == "type" else 4, "initializer 'w'", part)


def _change_index(sparse):
    sparse.indices.int64_data[0] = 8


def _change_count(sparse):
    sparse.indices.int64_data.append(7)
    sparse.indices.dims[0] = 3


def _change_size(sparse):
    sparse.dims[0] = 1 << 32


SPARSE = {"index": (_change_index, "an index is outside the shape"), "count": (_change_count, "3 indices for 2 values"), "size": (_change_size, "more than 1 GiB")}


@pytest.mark.parametrize("case", SPARSE)
def test_wrong_sparse_tensors(case, tmp_path):
    change, part = SPARSE[case]
    model = onnx.ModelProto.FromString(make_samples()["network"])
    change(model.graph.sparse_initializer[0])
    _refuse(model, tmp_path, 4, "initializer 's'", part)


def test_no_output(tmp_path):
    model = parse("(float[2] x) => (y) { y = Relu(x) }")
    del model.graph.output[:]
    _refuse(model, tmp_path, 4, "the graph has no output")
