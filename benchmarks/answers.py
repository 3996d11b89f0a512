"""What the benchmarks that fill a table of the documentation do with their results."""
import argparse
import json
import pathlib
from collections.abc import Callable


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", type=pathlib.Path, help="write what was measured as JSON")
    parser.add_argument("--table", type=pathlib.Path, help="print the table of an earlier result, without measuring")
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/compression.md")


def answer(arguments: argparse.Namespace, measure: Callable[[], dict], make_table: Callable[[dict], str], write_docs: Callable[[dict], None]) -> None:
    """Measures, or reads an earlier result, and gives it to whoever the options name."""
    results = json.loads(arguments.table.read_text(encoding="utf-8")) if arguments.table else measure()
    if arguments.output:
        arguments.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(make_table(results), end="")
    if arguments.write_docs:
        write_docs(results)
