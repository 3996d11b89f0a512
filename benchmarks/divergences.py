"""How far a language model's next tokens move when it is stored in few bits, method by method: the tables of docs/compression.md.

Usage: divergences.py [WORD ...] [--output RESULT.json] [--table RESULT.json] [--write-docs]. Needs the shared language model.

All methods have the same data: texts that the plain model wrote, each token drawn by its probability. Texts of another seed judge: Kullback-Leibler divergence of the next token from the
plain model's, in nats, and the share of places where both find the same token the most likely one.
"""
import argparse
import sys
import time

import numpy as np

import onager
from answers import add_options, answer, put_between
from places import ROOT, SHARED, WORK
from texts import Writer, make_feeds

MODEL = SHARED / "llm" / "stories260K" / "stories260K-derived.onnx"
LENGTH, CALIBRATING, JUDGING = 100, 60, 40
SCHEMES = {"weights alone": ("int4", "nf4", "fp4", "int8-weights"), "weights and activations": ("int8", "int8-dynamic")}
# Options of the command line as they are said in Python, with `group` where a scheme has one.
METHODS = [("int4", {"rounding": "rtn"}), ("int4", {"rounding": "mse"}), ("int4", {"rounding": "hqq"}), ("int4", {"rounding": "mse", "scaling": "awq"}),
           ("int4", {"rounding": "mse", "bias_correction": True}), ("int4", {"rounding": "mse", "scaling": "awq", "bias_correction": True}), ("int4", {"rounding": "adaround"}),
           ("int4", {"rounding": "gptq"}), ("int4", {"rounding": "gptq", "scaling": "awq"}), ("int4", {"rounding": "gptq", "samples": "self:60"}), ("nf4", {"rounding": "mse"}),
           ("nf4", {"rounding": "rtn"}), ("fp4", {"rounding": "mse"}), ("int8-weights", {"rounding": "rtn"}), ("int8-weights", {"rounding": "gptq"}), ("int8", {}), ("int8", {"rounding": "adaround"}),
           ("int8", {"scaling": "smoothquant"}), ("int8-dynamic", {}), ("int8-dynamic", {"scaling": "smoothquant"})]
NAMES = {"scaling": "`--scaling {}`", "bias_correction": "`--bias-correction`", "samples": "`--calibrate {}`"}


def title(scheme: str, options: dict) -> str:
    return ", ".join([f"`{scheme}`"] + [NAMES.get(key, "`{}`").format(value) for key, value in options.items()])


def draw_texts(seed: int, count: int) -> list[dict[str, np.ndarray]]:
    writer, random = Writer(MODEL), np.random.default_rng(seed)
    return make_feeds([writer.write(random, LENGTH, LENGTH) for _ in range(count)])


def find_chances(model, texts: list[dict[str, np.ndarray]]) -> list[np.ndarray]:
    """Logarithms of the probabilities of each next token, [places, tokens] for each text."""
    session, found = onager.InferenceSession(model, recompile="off", threads=1), []
    for feeds in texts:
        logits = session.run(None, feeds)[0][0].astype(np.float64)
        logits -= logits.max(-1, keepdims=True)
        found.append(logits - np.log(np.exp(logits).sum(-1, keepdims=True)))
    return found


def measure(words: list[str]) -> dict:
    folder = WORK / "divergences"
    folder.mkdir(parents=True, exist_ok=True)
    calibrating, judging = draw_texts(7, CALIBRATING), draw_texts(8, JUDGING)
    plain, rows = find_chances(MODEL, judging), []
    for scheme, options in METHODS:
        name = title(scheme, options)
        if words and not any(word in name for word in words):
            continue
        begin, groups = time.perf_counter(), {"group": 32} if scheme in SCHEMES["weights alone"] else {}
        passed = {key: value for key, value in options.items() if key != "samples"}
        onager.compress(MODEL, options.get("samples", calibrating), folder / "compressed.onnx", quantize=scheme, even_if_slower=True, threads=1, **groups, **passed)
        seconds, found = time.perf_counter() - begin, find_chances(folder / "compressed.onnx", judging)
        divergence = np.mean([(np.exp(p) * (p - q)).sum(-1).mean() for p, q in zip(plain, found, strict=True)])
        agreement = np.mean([(p.argmax(-1) == q.argmax(-1)).mean() for p, q in zip(plain, found, strict=True)])
        rows.append({"scheme": scheme, "method": name, "divergence": float(divergence), "agreement": float(agreement), "seconds": seconds})
        print(f"{name}: {divergence:.5f}, {agreement:.2%}, {seconds:.0f} s", file=sys.stderr, flush=True)
    return {"texts": {"calibrating": CALIBRATING, "judging": JUDGING, "tokens": LENGTH}, "rows": rows}


def make_table(results: dict) -> str:
    """A table for weights alone and one for activations, too."""
    text = ""
    for kind, schemes in SCHEMES.items():
        text += f"| {kind} | divergence | agreement |\n|---|--:|--:|\n"
        text += "".join(f"| {row['method']} | {row['divergence']:.3g} | {row['agreement']:.1%} |\n" for row in results["rows"] if row["scheme"] in schemes) + "\n"
    return text


def write_docs(results: dict) -> None:
    put_between(ROOT / "docs" / "compression.md", "divergences", make_table(results))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="WORD", help="methods whose names contain a word (default: all)")
    add_options(parser, "docs/compression.md")
    arguments = parser.parse_args()
    if not arguments.table and not MODEL.exists():
        print(f"no language model at {MODEL}: nothing is measured", file=sys.stderr)
        return 1
    answer(arguments, lambda: measure(arguments.words), make_table, write_docs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
