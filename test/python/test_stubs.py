"""The stubs say what the extension modules hold, and every public function of the package is annotated."""
import ast
import importlib
import inspect
import re

import pytest

import onager
from support.places import ROOT

PACKAGE = ROOT / "python" / "onager"


def list_stub(module: str) -> dict[str, list[str] | None]:
    """Returns names of a stub with their parameters (None for what is no function), methods as Class.method."""
    found = {}

    def visit(body, prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef):
                found[prefix + node.name] = None
                visit(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.FunctionDef):
                is_property = any(isinstance(mark, ast.Name) and mark.id == "property" for mark in node.decorator_list)
                found[prefix + node.name] = None if is_property else [argument.arg for argument in node.args.args]

    visit(ast.parse((PACKAGE / f"{module}.pyi").read_text(encoding="utf-8")).body, "")
    return found


def list_module(module: str) -> dict[str, list[str] | None]:
    """The same of the module itself; nanobind writes signatures into docstrings."""
    found = {}

    def parameters(function) -> list[str]:
        arguments = re.search(r"\((.*)\) ->", function.__doc__).group(1)
        return [part.split(":")[0].strip() for part in re.split(r",\s*(?![^\[]*\])", arguments) if part not in ("", "/")]

    def visit(owner, prefix: str) -> None:
        for name, value in vars(owner).items():
            if name.startswith("_") and name != "__init__":
                continue
            if inspect.isclass(value):
                found[prefix + name] = None
                visit(value, f"{prefix}{name}.")
            elif isinstance(value, property) or not callable(value):
                found[prefix + name] = None
            else:
                found[prefix + name] = parameters(value)

    visit(importlib.import_module(f"onager.{module}"), "")
    return found


@pytest.mark.parametrize("module", ["_runtime", "_compiler"])
def test_stub_and_module_agree(module):
    assert list_stub(module) == list_module(module)


@pytest.mark.parametrize("name", sorted(path.name for path in PACKAGE.glob("*.py*") if path.suffix in (".py", ".pyi")))
def test_public_functions_are_annotated_and_described(name):
    tree = ast.parse((PACKAGE / name).read_text(encoding="utf-8"))
    bare = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            arguments = [argument for argument in node.args.args + node.args.kwonlyargs if argument.arg not in ("self", "cls")]
            if node.returns is None or any(argument.annotation is None for argument in arguments):
                bare.append(f"{node.name} is not annotated")
            if ast.get_docstring(node) is None:
                bare.append(f"{node.name} is not described")
    assert not bare


def test_package_is_marked_as_typed():
    assert (PACKAGE / "py.typed").exists()
    assert set(onager.__all__) <= set(dir(onager))
