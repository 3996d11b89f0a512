"""The package needs no PyTorch until something is trained."""
import subprocess
import sys


def run_python(text: str) -> str:
    result = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_importing_the_package_imports_no_torch():
    assert run_python("import sys, onager; print('torch' in sys.modules, 'onnx' in sys.modules, callable(onager.train))") == "False False True\n"


def test_the_error_says_what_to_install():
    text = "import sys; sys.modules['torch'] = None\nimport onager\ntry:\n    onager.train(b'', [])\nexcept ImportError as error:\n    print(error)"
    shown = run_python(text)
    assert shown.startswith("onager.train needs PyTorch and onnx (") and "pip install torch onnx, or the extra 'train' of this package" in shown
