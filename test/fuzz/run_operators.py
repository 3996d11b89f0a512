#!/usr/bin/env python3
"""Compares single operators of every version and element type with ONNX's reference implementation, or ONNX Runtime where it has none.

Usage: test/fuzz/run_operators.py [--seed N] [--count N] [--minutes M] [--only OP] [--version V] [--binding B] [--corpus DIR] [--coverage]

Each round draws one case of every operator, version and choice of types; N rounds with --count. Counts add up in operators.json in the corpus
(build/fuzz). Run it by the Python of build/venv.
"""
import argparse
import collections
import json
import pathlib
import sys
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from fuzz import schemas  # noqa: E402  (the folder above is on the path now)
from support.compare import differs  # noqa: E402
from support.places import BUILD  # noqa: E402
from support.workers import run_tasks  # noqa: E402

BATCH = 40


def _expect(case: tuple):
    """Returns what a case should give, or the reason why neither implementation says so."""
    import onnxruntime
    from onnx.reference import ReferenceEvaluator

    model, feeds, _ = schemas.make_model([case])
    try:
        return ReferenceEvaluator(model).run(None, feeds)
    except Exception as error:  # the reference lacks many old versions and types
        reason = str(error)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, feeds)
    except Exception as error:
        return f"reference: {reason[:120]}; onnxruntime: {str(error)[:160]}"


def _settle(case: tuple, value):
    """Gives an expected value the type that the schema says: texts are objects, and what schemas.WRONG_REFERENCE lists has the type of the input."""
    value = np.asarray(value)
    if value.dtype.kind == "U":
        return value.astype(object)
    if case[1] not in schemas.WRONG_REFERENCE:
        return value
    types = schemas.get_bindings(case[:3])[case[3]]
    return value.astype(schemas.to_numpy(types[schemas.get_schemas()[case[:3]][0].outputs[0].type_str]))


def _compare(found: list, wanted: list) -> str:
    """As differs; the reference rounds each step of a computation in bfloat16, which has 8 bits: results are held within 4 % of the largest."""
    reason = differs(found, wanted)
    for mine, value in zip(found, wanted) if reason else ():
        if value.dtype.name != "bfloat16" or mine.shape != value.shape or mine.dtype != value.dtype:
            return reason
        gap, largest = (np.abs(array.astype(np.float32)).max(initial=0) for array in (mine.astype(np.float32) - value.astype(np.float32), value))
        if not gap <= 0.04 * largest:
            return reason
    return ""


def is_unsupported(case: tuple) -> bool:
    """True where a type of the case is one that Onager has none of, or means nothing to the operator."""
    elements = schemas.get_bindings(case[:3])[case[3]].values()
    return any(element in schemas.UNSUPPORTED or (case[1], element) in schemas.UNDEFINED for element in elements)


def try_cases(cases: tuple) -> tuple:
    """Returns ("cases", [(case, verdict, reason)]): same, wrong, refused (by Onager), unknown (no expected result) or split (to be tried alone)."""
    import onager

    expected = {case: _expect(case) for case in cases}
    known = [case for case in cases if not isinstance(expected[case], str)]
    results = [(case, "unknown", expected[case]) for case in cases if isinstance(expected[case], str)]
    if not known:
        return "cases", results
    model, feeds, names = schemas.make_model(known)
    try:
        found = dict(zip(sum(names, []), onager.InferenceSession(model.SerializeToString(), threads=2).run(None, feeds)))
    except (onager.CompileError, ValueError, RuntimeError) as error:
        if len(known) > 1:
            return "cases", results + [(case, "split", "") for case in known]
        return "cases", results + [(known[0], "refused" if getattr(error, "status", 0) == 3 else "wrong", str(error)[:300])]
    for case, outputs in zip(known, names):
        wanted = [_settle(case, value) for value in expected[case]]
        reason = _compare([found[name] for name in outputs], wanted)
        results.append((case, "wrong" if reason else "same", reason))
    return "cases", results


def run_cases(cases: list) -> dict:
    """Returns {case: (verdict, reason)}; what keeps a module from compiling or running is tried in smaller ones."""
    groups = collections.defaultdict(list)
    for case in cases:
        groups[schemas.get_opset(case)].append(case)
    waiting = [tuple(group[start:start + BATCH]) for group in groups.values() for start in range(0, len(group), BATCH)]
    results = {}
    while waiting:
        again = []
        for batch, (verdict, found) in run_tasks(try_cases, waiting, seconds=120).items():
            if verdict != "cases":
                found = [(case, "split" if len(batch) > 1 else verdict, found) for case in batch]
            rest = [case for case, state, _ in found if state == "split"]
            results |= {case: (state, reason) for case, state, reason in found if state != "split"}
            size = max(1, len(batch) // 4)
            again += [tuple(rest[start:start + size]) for start in range(0, len(rest), size)]
        waiting = again
    return results


def list_cases(seed: int, only: str = "", version: int = 0, binding: int = -1, newest: bool = False) -> list:
    """Returns a case for each schema that has a generator and each choice of its types."""
    known = schemas.get_schemas()
    keys = [key for key in known if key[1] in schemas.GENERATORS and only in ("", key[1]) and version in (0, key[2])]
    if newest:
        last = {domain: max(end for (other, *_), (_, end) in known.items() if other == domain) for domain in schemas.DOMAINS}
        keys = [key for key in keys if known[key][1] == last[key[0]]]
    cases = [(*key, place, seed) for key in keys for place in range(len(schemas.get_bindings(key))) if binding in (-1, place)]
    return [case for case in cases if not is_unsupported(case)]


def explain(case: tuple, result: tuple) -> str:
    """Says what was found and how to see it again."""
    domain, name, version, binding, seed = case
    types = " ".join(f"{label}={kind}" for label, kind in schemas.get_bindings(case[:3])[binding].items())
    return f"{domain or 'ai.onnx'}.{name}-{version} {types}: {result[0]}: {result[1]}\n  run_operators.py --only {name} --version {version} --binding {binding} --seed {seed} --count 1"


def print_coverage() -> int:
    """Prints how many schemas have cases, and each that has none with its reason; fails where one has no reason."""
    keys = sorted(schemas.get_schemas())
    without = [key for key in keys if key[1] not in schemas.GENERATORS]
    for domain, name, version in without:
        print(f"{domain or 'ai.onnx'}.{name}-{version}: {schemas.get_reason((domain, name, version)) or 'NO REASON'}")
    print(f"not drawn, since no tensor of a compiled model has them: {', '.join(schemas.UNSUPPORTED)}")
    for (name, element), reason in schemas.UNDEFINED.items():
        print(f"{name} of {element} is not drawn: {reason}")
    for name, reason in schemas.WRONG_REFERENCE.items():
        print(f"{name}: only values are compared with the reference: {reason}")
    print(f"{len(keys) - len(without)} of {len(keys)} schemas have cases, {len(list_cases(0))} in a round; {len(without)} have none")
    return int(any(not schemas.get_reason(key) for key in without))


def add_counts(folder: pathlib.Path, results: dict) -> int:
    """Adds a round to the counts of all runs; returns how many cases they had together."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "operators.json"
    counts = json.loads(path.read_text()) if path.exists() else {}
    for case, (verdict, _) in results.items():
        row = counts.setdefault(f"{case[0] or 'ai.onnx'}.{case[1]}", {})
        row[verdict] = row.get(verdict, 0) + 1
    path.write_text(json.dumps(counts, indent=1, sort_keys=True) + "\n")
    return sum(sum(row.values()) for row in counts.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seed", type=int, default=time.time_ns() % (1 << 32))
    parser.add_argument("--count", type=int, default=0, help="rounds; without it, as many as the minutes allow")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--only", default="", metavar="OP")
    parser.add_argument("--version", type=int, default=0)
    parser.add_argument("--binding", type=int, default=-1)
    parser.add_argument("--corpus", type=pathlib.Path, default=BUILD / "fuzz")
    parser.add_argument("--coverage", action="store_true")
    options = parser.parse_args()
    if options.coverage:
        return print_coverage()
    totals, seed, end = collections.Counter(), options.seed, time.monotonic() + 60 * options.minutes
    while (seed < options.seed + options.count) if options.count else time.monotonic() < end:
        print(f"seed {seed}", flush=True)
        results = run_cases(list_cases(seed, options.only, options.version, options.binding))
        totals.update(verdict for verdict, _ in results.values())
        for case, result in results.items():
            if result[0] not in ("same", "unknown"):
                print(explain(case, result), flush=True)
        print(f"{dict(totals)}; {add_counts(options.corpus, results)} cases in all runs", flush=True)
        seed += 1
    return int(bool(set(totals) - {"same", "unknown"}))


if __name__ == "__main__":
    sys.exit(main())
