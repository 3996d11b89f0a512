#!/usr/bin/env python3
"""Writes docs/passes.md from the Passes.td files, in the order of the stages.

Usage: docs.py [--check]    (--check writes nothing and fails where the file is stale)
"""
import pathlib
import re
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "passes.md"
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


def main() -> None:
    page = generate()
    if sys.argv[1:] == ["--check"]:
        if not TARGET.exists() or TARGET.read_text(encoding="utf-8") != page:
            sys.exit("docs/passes.md differs from the Passes.td files; run scripts/docs.py")
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        TARGET.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
