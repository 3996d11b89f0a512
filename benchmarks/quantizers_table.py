"""Turns what quantizers.py measured into Markdown."""
from answers import put_between
from places import ROOT


def show_error(entry: dict | None) -> str:
    if entry is None:
        return "–"
    if "error" in entry:
        return "fails"
    return f"{entry['mean_sqnr']:.1f}" + ("" if entry["top1"] is None else f", {entry['top1']:.2%}")


def make_table(results: dict) -> str:
    """One row for each model: decibels, the mean over outputs, and the share of answers that are those of f32."""
    text = "| model | Onager, all layers | ONNX Runtime | NNCF | Onager, default | its layers of int8 | its time of a run |\n|---|--:|--:|--:|--:|--:|--:|\n"
    for name, entries in results["cases"].items():
        default = entries.get("onager-default")
        layers, ratio = "–", "–"
        if default and "seconds" in default:
            layers, ratio = f"{default['int8_layers']} of {default['layers']}", f"{default['seconds']['compressed'] / default['seconds']['plain']:.2f}x"
        text += f"| {name} | " + " | ".join(show_error(entries.get(column)) for column in ("onager", "onnxruntime", "nncf", "onager-default")) + f" | {layers} | {ratio} |\n"
    return text


def write_docs(results: dict) -> None:
    """Replaces the table in docs/compression.md."""
    machine = results["machine"]
    versions = ", ".join(f"{title} {machine[key]}" for key, title in (("onnxruntime", "ONNX Runtime"), ("nncf", "NNCF")) if key in machine)
    caption = f"\n{machine['processor']}, one thread, {machine['date']}; {versions}; {results['calibration']} pictures calibrate, {results['test']} others judge.\n"
    put_between(ROOT / "docs" / "compression.md", "quantizers", make_table(results) + caption)
