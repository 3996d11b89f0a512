"""`onager operators` tells what a model may use, and what it says holds."""
import json
import subprocess

import onnx
import pytest

from support.places import ONAGER


@pytest.fixture(scope="module")
def listed():
    return json.loads(subprocess.run([ONAGER, "operators", "--json"], capture_output=True, text=True, check=True, timeout=60).stdout)


def test_every_schema_is_listed(listed):
    known = {(entry["domain"], entry["name"], entry["since"]) for entry in listed}
    schemas = {(schema.domain or "ai.onnx", schema.name, schema.since_version) for schema in onnx.defs.get_all_schemas_with_history()}
    assert schemas <= known


def test_kinds(listed):
    kinds = {(entry["domain"], entry["name"], entry["since"]): entry["how"] for entry in listed}
    assert kinds["ai.onnx", "Conv", 22] == "direct"
    assert kinds["ai.onnx", "Celu", 12] in ("direct", "inlined")
    assert kinds["ai.onnx", "ImageDecoder", 20] == "direct"
    assert ("com.microsoft", "MatMulNBits") in {key[:2] for key in kinds}


def test_an_unknown_operator_is_refused(tmp_path):
    (tmp_path / "m.onnx").write_text('<ir_version: 10, opset_import: ["" : 22]> decode (uint8[n] x) => (y) { y = Decode(x) }')
    done = subprocess.run([ONAGER, "compile", tmp_path / "m.onnx", "-o", tmp_path / "m.so"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 3 and "the operator is not known" in done.stderr


def test_text_of_a_domain():
    done = subprocess.run([ONAGER, "operators", "--domain", "ai.onnx.ml"], capture_output=True, text=True, check=True, timeout=60)
    lines = done.stdout.splitlines()
    assert lines and all(line.split()[0] == "ai.onnx.ml" for line in lines)
