"""An installed tree: a foreign project finds and uses it, by CMake and by pkg-config, and it stays small and closed."""
import os
import pathlib
import re
import shutil

import pytest

from support.places import BUILD
from support.tool import run_command as run

HERE = pathlib.Path(__file__).parent
TOOLS = BUILD / "venv" / "bin"


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """What `cmake --install` made of the build, moved once: nothing may remember where it was."""
    first = tmp_path_factory.mktemp("first") / "prefix"
    run(TOOLS / "cmake", "--install", BUILD, "--prefix", first)
    moved = tmp_path_factory.mktemp("moved") / "onager"
    shutil.move(first, moved)
    return moved


@pytest.fixture(scope="module")
def foreign(prefix, tmp_path_factory):
    """The build folder of a project that uses the installed tree."""
    build = tmp_path_factory.mktemp("foreign")
    run(TOOLS / "cmake", "-G", "Ninja", "-S", HERE / "foreign", "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}", f"-DCMAKE_MAKE_PROGRAM={TOOLS / 'ninja'}",
        "-DCMAKE_C_COMPILER=gcc", "-DCMAKE_CXX_COMPILER=g++")
    run(TOOLS / "cmake", "--build", build)
    return build


@pytest.fixture(scope="module")
def artifact(foreign, tmp_path_factory):
    """A model that the foreign project compiled."""
    path = tmp_path_factory.mktemp("artifact") / "double.so"
    assert run(foreign / "compile_and_run", path) == "2 4 6\n"
    return path


def test_cmake_project_compiles_and_runs(artifact, foreign):
    assert run(foreign / "run_only", artifact).endswith(": 8 10 12\n")


def test_pkg_config(artifact, prefix, tmp_path):
    (folder,) = {path.parent for path in prefix.rglob("onager-rt.pc")}
    environment = {**os.environ, "PKG_CONFIG_PATH": str(folder)}
    flags = run("pkg-config", "--cflags", "--libs", "onager-rt", env=environment).split()
    run("gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", HERE / "foreign" / "run_only.c", "-o", tmp_path / "run_only", *flags)
    library = run("pkg-config", "--variable=libdir", "onager-rt", env=environment).strip()
    assert run(tmp_path / "run_only", artifact, env={**os.environ, "LD_LIBRARY_PATH": library}).endswith(": 8 10 12\n")


def test_command_line_runs_from_the_prefix(prefix, tmp_path):
    model = tmp_path / "model.txt"
    model.write_text('<ir_version: 8, opset_import: ["" : 17]>\nabsolute (float[2] x) => (float[2] y) { y = Abs(x) }\n')
    run(prefix / "bin" / "onager", "compile", model, "-o", tmp_path / "model.so")
    assert "y: float32 [2]" in run(prefix / "bin" / "onager", "run", tmp_path / "model.so", "--input", "random")


def find_runtime(prefix: pathlib.Path) -> pathlib.Path:
    (library,) = [path for path in prefix.rglob("libonager-rt.so.*") if not path.is_symlink()]
    return library


def test_runtime_names_its_interface(prefix):
    dynamic = run("readelf", "-d", find_runtime(prefix))
    assert re.search(r"SONAME.*\[libonager-rt\.so\.0\]", dynamic)
    assert (find_runtime(prefix).parent / "libonager-rt.so.0").exists()


def test_runtime_needs_the_c_library_alone(prefix):
    dynamic = run("readelf", "-d", find_runtime(prefix))
    needed = set(re.findall(r"NEEDED.*\[(.+?)\]", dynamic))
    assert needed and needed <= {"libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "ld-linux-x86-64.so.2"}, needed


def test_runtime_exports_its_interface_alone(prefix):
    symbols = run("nm", "-D", "--defined-only", find_runtime(prefix)).split()[2::3]
    assert symbols and all(name.startswith("onager_") for name in symbols), symbols


def test_runtime_is_small(prefix, tmp_path):
    run("strip", "-o", tmp_path / "stripped.so", find_runtime(prefix))
    assert (tmp_path / "stripped.so").stat().st_size < 500_000


def test_every_installed_header_stands_alone(prefix, tmp_path):
    """Each C header compiles as C11 and as C++17, each C++ header as C++17, without another one before it."""
    headers = sorted(path for path in prefix.rglob("*") if path.suffix in (".h", ".hpp"))
    assert headers
    for header in headers:
        name = header.relative_to(prefix / "include")
        is_c = header.suffix == ".h" and name.parts[0] == "onager-rt"
        for language, compiler, standard in ([("c", "gcc", "c11")] if is_c else []) + [("cpp", "g++", "c++17")]:
            source = tmp_path / f"one.{language}"
            source.write_text(f'#include "{name}"\n')
            run(compiler, f"-std={standard}", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I", prefix / "include", source)
