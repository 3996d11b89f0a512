"""`pip install .`: the wheel goes into a fresh environment and works there, away from the checkout."""
import os
import pathlib
import sys
import zipfile

import pytest

from support.places import BUILD, ROOT
from support.tool import run_command as run

PROGRAM = """
import pathlib, sys
import numpy as np
import onager

assert pathlib.Path(onager.__file__).is_relative_to(sys.prefix), onager.__file__
text = b'<ir_version: 8, opset_import: ["" : 17]>\\ndouble_it (float[n] x) => (float[n] y) { y = Add(x, x) }'
session = onager.InferenceSession(onager.compile(text, sys.argv[1]))
print(session.run(None, {"x": np.array([1, 2, 3], np.float32)})[0].tolist())
session.warm_up({"x": np.ones(3, np.float32)})
print(session.stats()["compiled"], "variant")
session = onager.InferenceSession(sys.argv[1], compiler_library="")
session.warm_up({"x": np.ones(4, np.float32)})
print(session.stats()["compiled"], "in this process")
try:
    onager.compile(b"not a model", sys.argv[1])
except onager.CompileError as error:
    print("refused with status", error.status)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Made of the build tree; needs no network."""
    folder = tmp_path_factory.mktemp("wheel")
    environment = {**os.environ, "PATH": f"{BUILD / 'venv' / 'bin'}:{os.environ['PATH']}"}
    run(sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--no-index", "--disable-pip-version-check", "-w", folder, ROOT, env=environment)
    (path,) = folder.glob("onager-*.whl")
    return path


def test_wheel_holds_package_runtime_and_compiler(wheel):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if not name.startswith("onager-")}
    package = ROOT / "python" / "onager"
    sources = {f"onager/{path.relative_to(package)}" for path in package.rglob("*") if path.suffix in (".py", ".pyi") or path.name == "py.typed"}
    assert sources <= names
    binaries = {pathlib.PurePath(name).name.split(".")[0] for name in names - sources}
    assert binaries == {"_runtime", "_compiler", "libonager-rt", "libonager-specialize", "onager"}, names


def test_wheel_works_in_a_fresh_environment(wheel, tmp_path):
    environment = tmp_path / "environment"
    run(sys.executable, "-m", "venv", "--without-pip", environment)
    site = next(environment.glob("lib/python3*/site-packages"))
    run(sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--disable-pip-version-check", "--target", site, wheel)
    # NumPy alone comes from the environment that the tests run in.
    import numpy

    for name in ("numpy", "numpy.libs"):
        source = pathlib.Path(numpy.__file__).parents[1] / name
        if source.exists():
            (site / name).symlink_to(source)
    clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "LD_LIBRARY_PATH")} | {"ONAGER_CACHE_DIR": str(tmp_path / "cache")}
    output = run(environment / "bin" / "python", "-c", PROGRAM, tmp_path / "double.so", env=clean, cwd=tmp_path)
    assert output.splitlines() == ["[2.0, 4.0, 6.0]", "1 variant", "1 in this process", "refused with status 4"]
