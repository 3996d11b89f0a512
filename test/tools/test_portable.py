"""--target=portable: one artifact with code for x86-64-v2, v3 and v4."""
import subprocess

import numpy as np

from support.places import ONAGER

MODEL = """<ir_version: 10, opset_import: ["" : 21]>
net (float[N,40] x) => (float[N,40] y) <float[40] scale = {SCALE}>
{
  a = Tanh(x)
  y = Mul(a, scale)
}""".replace("SCALE", ", ".join(str(k) for k in range(40)))


def compile_for(target, folder):
    (folder / "net.onnx").write_text(MODEL)
    output = folder / f"{target}.so"
    done = subprocess.run([ONAGER, "compile", folder / "net.onnx", f"--target={target}", "-o", output], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return output


def test_portable_artifact_holds_three_forms_and_one_set_of_weights(tmp_path):
    portable, plain = compile_for("portable", tmp_path), compile_for("x86-64-v2", tmp_path)
    symbols = subprocess.run(["nm", portable], capture_output=True, text=True, check=True).stdout
    assert all(f"onager_main{level}" in symbols for level in range(3)) and "onager_main3" not in symbols
    weights = {path: subprocess.run([ONAGER, "inspect", path], capture_output=True, text=True, check=True).stdout for path in (portable, plain)}
    assert "weights: 192 bytes" in weights[portable] and "weights: 192 bytes" in weights[plain]
    code = portable.stat().st_size - plain.stat().st_size
    assert code < 1 << 17, "weights are there once"


def test_portable_artifact_computes_what_the_others_do(tmp_path):
    np.save(tmp_path / "x.npy", np.linspace(-3, 3, 120, dtype=np.float32).reshape(3, 40))
    results = []
    for target in ("portable", "x86-64-v2"):
        out = tmp_path / f"{target}-out"
        subprocess.run([ONAGER, "run", compile_for(target, tmp_path), "--input", f"x={tmp_path / 'x.npy'}", "--output-dir", out], check=True, capture_output=True, timeout=60)
        results.append(np.load(out / "y.npy"))
    np.testing.assert_allclose(results[0], results[1], rtol=1e-5, atol=1e-6)
