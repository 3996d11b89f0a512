"""Turns the counts of digits.py into Markdown."""
import math
import statistics

from answers import put_between
from places import ROOT


def add_counts(results: dict, name: str) -> dict[str, int]:
    return {key: sum(fold[name][key] for fold in results["folds"]) for key in ("both", "only_plain", "only_compressed", "neither")}


def find_interval(counts: dict[str, int]) -> tuple[float, float, float]:
    """Returns the difference of two paired shares in points, compressed less plain, and the ends of its 95 % interval: Agresti and Min (2005), which add half a digit to each count."""
    total, lost, won = sum(counts.values()), counts["only_plain"], counts["only_compressed"]
    padded = total + 2
    gap = (won - lost) / padded
    spread = 1.959964 * math.sqrt(max((lost + won + 1) - (won - lost) ** 2 / padded, 0)) / padded
    return 100 * (won - lost) / total, 100 * (gap - spread), 100 * (gap + spread)


def find_probability(counts: dict[str, int]) -> float:
    """Returns McNemar's exact probability: that of a split at least so uneven where both models are as good as each other."""
    lost, won = counts["only_plain"], counts["only_compressed"]
    tail = sum(math.comb(lost + won, k) for k in range(min(lost, won) + 1)) / 2 ** (lost + won)
    return min(1.0, 2 * tail)


def make_table(results: dict) -> str:
    """One row for each variant."""
    text = ("| variant | accuracy | both right | only f32 | only compressed | difference in points (95 %) | p | target | bytes | time of a run |\n"
            "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
    first = next(iter(results["variants"]))
    counts = add_counts(results, first)
    total = sum(counts.values())
    text += f"| f32 | {(counts['both'] + counts['only_plain']) / total:.2%} | | | | | | | {results['folds'][0][first]['plain_bytes']:,} | 1.00x |\n"
    for name, variant in results["variants"].items():
        counts, entries = add_counts(results, name), [fold[name] for fold in results["folds"]]
        gap, low, high = find_interval(counts)
        size = statistics.median(entry["bytes"] for entry in entries)
        ratio = statistics.median(entry["seconds"] / entry["plain_seconds"] for entry in entries)
        target = "–" if variant["most_lost"] is None else f"{-variant['most_lost']:+.1f}"
        text += (f"| {variant['title']} | {(counts['both'] + counts['only_compressed']) / total:.2%} | {counts['both']:,} | {counts['only_plain']} | {counts['only_compressed']} | "
                 f"{gap:+.2f} ({low:+.2f} to {high:+.2f}) | {find_probability(counts):.2g} | {target} | {size:,.0f} | {ratio:.2f}x |\n")
    return text


def write_docs(results: dict) -> None:
    """Replaces the table in docs/compression.md."""
    machine = results["machine"]
    caption = f"\n{machine['processor']}, one thread, {machine['date']}; the time is that of 64 digits, over the plain network's, a median of {len(results['folds'])} folds.\n"
    put_between(ROOT / "docs" / "compression.md", "digits", make_table(results) + caption)
