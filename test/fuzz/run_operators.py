#!/usr/bin/env python3
"""Compares single operators of every version and element type with a generator's own results, ONNX's reference implementation or ONNX Runtime.

Usage: test/fuzz/run_operators.py [--seed N] [--rounds N] [--minutes M] [--turns N] [--only OP] [--domain D] [--version V] [--binding B] [--coverage]

Each round draws a node of every operator, version and choice of types, and runs it on new inputs in each turn. Counts and the next round's seed are
kept in operators.json in the folder ONAGER_FUZZ_DIR (build/fuzz), and the next run goes on there. A terminal shows progress; elsewhere only
differences and the sums at the end are printed. Run it by the Python of build/venv.
"""
import argparse
import collections
import json
import os
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from fuzz import defects, judges, schemas  # noqa: E402  (the folder above is on the path now)
from fuzz.draw import UNSUPPORTED  # noqa: E402
from fuzz.node_models import draw_node, make_feeds, make_model, make_part  # noqa: E402
from support.places import BUILD  # noqa: E402
from support.workers import run_tasks  # noqa: E402

BATCH, TURNS = 64, 16
SLICE = 1024  # cases after which differences are printed and counts kept
GOOD = ("same", "unknown")


def _open(parts: list, opset: tuple):
    """Compiles a module; its file is gone once it is loaded."""
    import onager

    with tempfile.TemporaryDirectory() as folder:
        path = onager.compile(make_model(parts, opset).SerializeToString(), pathlib.Path(folder) / "cases.so")
        return onager.InferenceSession(path, threads=1)


def _expect(case: tuple, turns: int) -> list:
    """Returns (node, results, why there are none) of each turn; a turn draws other numbers for the same node."""
    judging = judges.list_judges(case)
    drawn = [draw_node(case, turn) for turn in range(turns)]
    return [(node, *judges.expect(case, node, judging)) for node in drawn]


def _judge(case: tuple, drawn, found: list, wanted: list) -> tuple:
    reason = judges.compare(case, drawn, found, wanted)
    return ("wrong", reason + judges.find_agreeing(case, drawn, found)) if reason else ("same", "")


def try_cases(cases: tuple, turns: int = 1) -> tuple:
    """Returns ("cases", [(case, verdict, reason, turns)]): same, wrong, refused (by Onager), unknown (no expected result) or split (to be tried alone)."""
    import onager

    expected, results = {}, []
    for case in cases:
        expected[case] = [turn for turn in _expect(case, turns) if turn[1] is not None or turn[0].check or results.append((case, "unknown", turn[2], 1))]
    known = [case for case in cases if expected[case]]
    if not known:
        return "cases", results
    parts = [make_part(case, expected[case][0][0], f"n{number}_") for number, case in enumerate(known)]
    try:
        session = _open(parts, schemas.get_opset(known[0]))
        found = []
        for turn in range(turns):
            feeds = {}
            for number, case in enumerate(known):
                feeds |= make_feeds(expected[case][min(turn, len(expected[case]) - 1)][0], f"n{number}_")
            outputs = dict(zip(sum((part.results for part in parts), []), session.run(None, feeds)))
            found.append([[outputs[name] for name in part.results] for part in parts])
    except (onager.CompileError, ValueError, RuntimeError, TypeError) as error:
        if len(known) > 1:
            return "cases", results + [(case, "split", "", 0) for case in known]
        return "cases", results + [(known[0], "refused" if getattr(error, "status", 0) == 3 else "wrong", str(error)[:300], 1)]
    for number, case in enumerate(known):
        verdicts = [_judge(case, drawn, found[turn][number], wanted) for turn, (drawn, wanted, _) in enumerate(expected[case])]
        bad = next((verdict for verdict in verdicts if verdict[0] != "same"), ("same", ""))
        results.append((case, *bad, len(verdicts)))
    return "cases", results


def _try_batch(task: tuple) -> tuple:
    return try_cases(task[1], task[0])


def run_cases(cases: list, turns: int = 1, tell=lambda done, all: None, keep: bool = False) -> dict:
    """Returns {case: (verdict, reason, turns)}; what keeps a module from compiling or running is tried in smaller ones."""
    groups = collections.defaultdict(list)
    for case in cases:
        groups[schemas.get_opset(case)].append(case)
    waiting = [tuple(group[start:start + BATCH]) for group in groups.values() for start in range(0, len(group), BATCH)]
    results = {}
    while waiting:
        again = []
        for (_, batch), (verdict, found) in run_tasks(_try_batch, [(turns, batch) for batch in waiting], seconds=180, tell=lambda done: tell(done, len(waiting)), keep=keep).items():
            if verdict != "cases":
                found = [(case, "split" if len(batch) > 1 else verdict, found, 1) for case in batch]
            rest = [case for case, state, *_ in found if state == "split"]
            for case, state, reason, count in found:
                if state != "split" and (case not in results or state not in GOOD):
                    results[case] = (state, reason, count)
            size = max(1, len(batch) // 4)
            again += [tuple(rest[start:start + size]) for start in range(0, len(rest), size)]
        waiting = again
    return results


def list_cases(seed: int, only: str = "", version: int = 0, binding: int = -1, domain: str | None = None) -> list:
    """Returns a case for each schema that has a generator and each choice of its types."""
    keys = [key for key in schemas.get_schemas() if schemas.get_generator(key) and only in ("", key[1]) and version in (0, key[2]) and domain in (None, key[0])]
    cases = [(*key, place, seed) for key in keys for place in range(len(schemas.get_bindings(key))) if binding in (-1, place)]
    return [case for case in cases if not schemas.is_unsupported(case)]


def get_label(case: tuple) -> str:
    return f"{case[0] or 'ai.onnx'}.{case[1]}-{case[2]}"


def explain(case: tuple, result: tuple) -> str:
    """Says what was found and how to see it again."""
    domain, name, version, binding, seed = case
    types = " ".join(f"{label}={kind}" for label, kind in schemas.get_bindings(case[:3])[binding].items())
    again = f"--domain '{domain}' --only {name} --version {version} --binding {binding} --seed {seed} --rounds 1"
    return f"{get_label(case)} {types}: {result[0]}: {result[1]}\n  run_operators.py {again}"


def print_coverage() -> int:
    """Prints how many schemas have cases, and each that has none with its reason; fails where one has no reason."""
    keys = sorted(schemas.get_schemas())
    without = [key for key in keys if not schemas.get_generator(key)]
    for key in without:
        print(f"{get_label(key)}: {schemas.get_reason(key) or 'NO REASON'}")
    print(f"not drawn, since no tensor of a compiled model has them: {', '.join(UNSUPPORTED)}")
    for (name, element), reason in schemas.UNDEFINED.items():
        print(f"{name} of {element} is not drawn: {reason}")
    for defect in defects.DEFECTS:
        print(f"{defect.operators}: {defect.judge} is not asked: {defect.text}")
    for domain in schemas.DOMAINS:
        count, rest = sum(key[0] == domain for key in keys), sum(key[0] == domain for key in without)
        print(f"{domain or 'ai.onnx'}: {count - rest} of {count} schemas have cases, {len(list_cases(0, domain=domain))} in a round; {rest} have none")
    return int(any(not schemas.get_reason(key) for key in without))


class Counts:
    """How many cases each schema has had in all runs, and the seed of the next round."""

    def __init__(self, folder: pathlib.Path):
        self.path = folder / "operators.json"
        self.state = json.loads(self.path.read_text()) if self.path.exists() else {"next": 1, "cases": {}}

    def add(self, results: dict, seed: int) -> None:
        for case, (verdict, _, count) in results.items():
            row = self.state["cases"].setdefault(get_label(case), {})
            row[verdict] = row.get(verdict, 0) + count
        self.state["next"] = max(self.state["next"], seed + 1)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(self.state, indent=1, sort_keys=True) + "\n")
        part.replace(self.path)

    def get_total(self) -> int:
        return sum(sum(row.values()) for row in self.state["cases"].values())


def _parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seed", type=int, default=None, help="the first round's; without it, where the last run ended")
    parser.add_argument("--rounds", type=int, default=0, help="without it, as many as the minutes allow")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--turns", type=int, default=TURNS, help="inputs that each node is run on")
    parser.add_argument("--only", default="", metavar="OP")
    parser.add_argument("--domain", default=None)
    parser.add_argument("--version", type=int, default=0)
    parser.add_argument("--binding", type=int, default=-1)
    parser.add_argument("--coverage", action="store_true")
    parser.add_argument("--unknown", action="store_true", help="print cases that nobody judges, too")
    return parser.parse_args()


def main() -> int:
    options = _parse()
    if options.coverage:
        return print_coverage()
    counts = Counts(pathlib.Path(os.environ.get("ONAGER_FUZZ_DIR", BUILD / "fuzz")))
    whole = not options.only and options.domain is None
    totals, start = collections.Counter(), time.monotonic()
    first = counts.state["next"] if options.seed is None else options.seed
    seed, shown = first, sys.stdout.isatty()
    tell = lambda done, all: print(f"\rround {seed}: {done} of {all} modules; {counts.get_total()} cases in all runs\033[K", end="", flush=True) if shown else None
    while seed < first + options.rounds if options.rounds else time.monotonic() < start + 60 * options.minutes:
        cases = sorted(list_cases(seed, options.only, options.version, options.binding, options.domain), key=schemas.get_opset)
        for place in range(0, len(cases), SLICE):
            results = run_cases(cases[place:place + SLICE], options.turns, tell, keep=True)
            for case, result in results.items():
                totals[result[0]] += result[2]
                if result[0] not in GOOD or options.unknown and result[0] == "unknown":
                    print(("\r\033[K" if shown else "") + explain(case, result), flush=True)
            counts.add(results, seed if whole and place + SLICE >= len(cases) else -1)
        seed += 1
    spent = time.monotonic() - start
    print(f"rounds {first} to {seed - 1}: {dict(totals)}, {sum(totals.values()) / max(spent, 1e-9):.0f} cases a second; "
          f"{counts.get_total()} cases in all runs")
    return int(bool(set(totals) - set(GOOD)))


if __name__ == "__main__":
    sys.exit(main())
