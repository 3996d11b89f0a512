"""What helps to find faults of the compiler: the script that a crash leaves, and the files of --save-temps."""
import os
import signal
import subprocess

from support.places import ONAGER

MODEL = """<ir_version: 10, opset_import: ["" : 21]>
net (float[N,8] x) => (float[N,8] y) { y = Tanh(x) }"""


def test_crash_leaves_a_script_that_repeats_it(tmp_path):
    # More than a pipe holds: when all is written, the tool is reading, so that its handlers are installed.
    process = subprocess.Popen([ONAGER, "compile", "-", "-o", "it's.so"], cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdin.write(b" " * (1 << 20))
    process.stdin.flush()
    process.send_signal(signal.SIGSEGV)
    stderr = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 5
    (script,) = tmp_path.glob("onager-crash-*.sh")
    assert f"{script} repeats the command" in stderr and "in stage 'start'" in stderr
    assert os.access(script, os.X_OK)
    done = subprocess.run([script], input=MODEL.encode(), cwd="/", capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "it's.so").exists()


def test_crash_where_the_folder_is_not_writable(tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    process = subprocess.Popen([ONAGER, "compile", "-", "-o", "x.so"], cwd="/proc", stdin=subprocess.PIPE, stderr=subprocess.PIPE,
                               env={**os.environ, "TMPDIR": str(temporary)})
    process.stdin.write(b" " * (1 << 20))
    process.stdin.flush()
    process.send_signal(signal.SIGABRT)
    process.communicate(timeout=60)
    assert process.returncode == 5
    assert len(list(temporary.glob("onager-crash-*.sh"))) == 1


def test_save_temps(tmp_path):
    (tmp_path / "net.onnx").write_text(MODEL)
    done = subprocess.run([ONAGER, "compile", "net.onnx", "-o", "net.so", "--save-temps=temps"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    names = sorted((path.name for path in (tmp_path / "temps").iterdir()), key=lambda name: int(name.split("-")[0]))
    assert names == ["0-import.mlir", "1-graph.mlir", "2-inputs.mlir", "3-sparse.mlir", "4-kernel.mlir", "5-plan.mlir", "6-vector.mlir", "7-llvm.mlir", "8-translated.ll",
                     "9-optimized.ll", "10-code.o"]
    assert "graph.tanh" in (tmp_path / "temps/0-import.mlir").read_text()
    assert (tmp_path / "temps/10-code.o").read_bytes()[:4] == b"\x7fELF"
    (tmp_path / "file").write_text("")
    done = subprocess.run([ONAGER, "compile", "net.onnx", "-o", "net.so", "--save-temps=file/below"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 4 and "cannot write" in done.stderr
