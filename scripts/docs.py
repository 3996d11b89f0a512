#!/usr/bin/env python3
"""Writes docs/passes.md from the Passes.td files, in the order of the stages, and docs/operators.md from what the built tool lists.

Usage: docs.py [--check]    (--check writes nothing and fails where a file is stale)
"""
import itertools
import json
import pathlib
import re
import subprocess
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "passes.md"
OPERATORS = ROOT / "docs" / "operators.md"
# The folders in the order in which a model passes through them; others come behind.
FOLDERS = ["dialects/Graph/Transforms", "lib/Conversion/GraphToKernel", "dialects/Kernel/Transforms", "lib/Conversion/KernelToVector",
           "lib/Conversion/VectorToLLVM"]
PASS = re.compile(r'^def (\w+)\s*:\s*Pass<"([^"]+)"(?:,\s*"([^"]+)")?>\s*\{(.*?)^\}', re.S | re.M)
OPTION = re.compile(r'Option<"\w+",\s*"([^"]+)",\s*"[^"]+",\s*(?:/\*default=\*/)?"([^"]*)",\s*"([^"]*)">')


def describe(match: re.Match) -> str:
    """Returns the section of one pass."""
    flag, anchor, body = match.group(2), match.group(3), match.group(4)
    summary = re.search(r'let summary = "([^"]*)"', body)
    description = re.search(r"let description = \[\{\n?(.*?)\}\]", body, re.S)
    if not summary or not description:
        sys.exit(f"{flag}: no summary or no description")
    text = f"### `--{flag}`\n\n_{summary.group(1)}._"
    text += f" Runs on `{anchor}`.\n\n" if anchor else "\n\n"
    text += textwrap.dedent(description.group(1)).strip() + "\n"
    options = OPTION.findall(body)
    if options:
        text += "\n| option | default | |\n|---|---|---|\n" + "".join(f"| `{name}` | `{default}` | {help} |\n" for name, default, help in options)
    return text


def generate() -> str:
    """Returns the whole page."""
    found = {str(path.parent.relative_to(ROOT)) for folder in ("lib", "dialects") for path in (ROOT / folder).rglob("Passes.td")}
    rank = lambda folder: (FOLDERS.index(folder) if folder in FOLDERS else len(FOLDERS), folder)
    page = "# The passes\n\nWritten by `scripts/docs.py` from the `Passes.td` files. `onager-opt --FLAG` runs one alone.\n"
    for folder in sorted(found, key=rank):
        passes = [describe(match) for match in PASS.finditer((ROOT / folder / "Passes.td").read_text(encoding="utf-8"))]
        page += f"\n## `{folder}`\n\n" + "\n".join(passes)
    return page


def generate_operators() -> str:
    """Returns the page of operators: a row for each, with its versions by how they are compiled."""
    listed = json.loads(subprocess.run([ROOT / "build" / "bin" / "onager", "operators", "--json"], capture_output=True, text=True, check=True).stdout)
    page = ("# The operators\n\nWritten by `scripts/docs.py` from `onager operators --json`. A number is the operator set that brought a version. _Direct_: an import"
            "\nfunction builds graph operations; _inlined_: through the function body that the schema has; _missing_: a node of it is refused. Contributed\noperators"
            " have no versions. Element types are those that some input of the newest version may have. Tests: the ONNX backend suite\n(`test/conformance`), and"
            " `test/ops` for what it does not hold.\n")
    for domain, operators in itertools.groupby(listed, key=lambda entry: entry["domain"]):
        operators = list(operators)
        missing = sum(entry["how"] == "missing" for entry in operators)
        page += f"\n## {domain}\n\n{len(operators) - missing} of {len(operators)} versions.\n\n| operator | direct | inlined | missing | element types |\n|---|---|---|---|---|\n"
        for name, versions in itertools.groupby(operators, key=lambda entry: entry["name"]):
            versions = list(versions)
            cells = [", ".join(str(entry["since"]) for entry in versions if entry["how"] == how) for how in ("direct", "inlined", "missing")]
            page += f"| {name} | {' | '.join(cells)} | {' '.join(versions[-1]['types'])} |\n"
    return page


def main() -> None:
    pages = {TARGET: generate(), OPERATORS: generate_operators()}
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    for path, page in pages.items():
        if not sys.argv[1:]:
            path.write_text(page, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != page:
            sys.exit(f"docs/{path.name} differs from what it is made of; run scripts/docs.py")


if __name__ == "__main__":
    main()
