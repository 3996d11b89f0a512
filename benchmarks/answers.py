"""What benchmarks do with their results: those that fill a table of the documentation, and those of many small cases."""
import argparse
import json
import pathlib
import platform
import re
import sys
from collections.abc import Callable, Iterable


def put_between(path: pathlib.Path, name: str, text: str) -> None:
    """Replaces what a page has between the lines `<!-- name -->` and `<!-- end of name -->`."""
    markers = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.S)
    old = path.read_text(encoding="utf-8")
    if not markers.search(old):
        raise SystemExit(f"{path.name} has no markers for {name}")
    path.write_text(markers.sub(lambda match: match.group(1) + text + match.group(2), old), encoding="utf-8")


def add_options(parser: argparse.ArgumentParser, page: str) -> None:
    parser.add_argument("--output", type=pathlib.Path, help="write what was measured as JSON")
    parser.add_argument("--table", type=pathlib.Path, help="print the table of an earlier result, without measuring")
    parser.add_argument("--write-docs", action="store_true", help=f"put the table into {page}")


def answer(arguments: argparse.Namespace, measure: Callable[[], dict], make_table: Callable[[dict], str], write_docs: Callable[[dict], None]) -> None:
    """Measures, or reads an earlier result, and gives it to whoever the options name."""
    results = json.loads(arguments.table.read_text(encoding="utf-8")) if arguments.table else measure()
    if arguments.output:
        arguments.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(make_table(results), end="")
    if arguments.write_docs:
        write_docs(results)


def read_processor() -> str:
    """The processor's name, or its architecture where the system tells none."""
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines() if pathlib.Path("/proc/cpuinfo").exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def run_cases(text: str, key: str, rounds: int, seconds: float, list_cases: Callable[[list[str]], Iterable], run_case: Callable[..., dict], make_table: Callable[[list[dict]], str],
              **machine: str) -> None:
    """The program of a benchmark of many cases, which `text` describes: measures those that the arguments choose and prints their table. A file of results has them under `key`."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--seconds", type=float, default=seconds)
    parser.add_argument("--output", type=pathlib.Path)
    parser.add_argument("--table", type=pathlib.Path)
    options = parser.parse_args()
    if options.table:
        print(make_table(json.loads(options.table.read_text())[key]))
        return
    results = []
    for case in list_cases(options.words):
        results.append(run_case(case, options.rounds, options.seconds))
        if sys.stderr.isatty():
            print(f"\r\033[K{case.name}", end="", file=sys.stderr)
    if options.output:
        options.output.write_text(json.dumps({"machine": {"processor": read_processor(), **machine}, key: results}, indent=1) + "\n")
    print(make_table(results))
