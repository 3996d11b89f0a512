"""How far models of int8 are from what they were made of: Onager's, ONNX Runtime's and NNCF's, from the same calibration data, judged on pictures that none has seen.

Usage: quantizers.py [WORD ...] [--output result.json] [--table result.json] [--write-docs]

Words choose among the cases of quantizer_cases.py. Needs scikit-image for its photographs (pip install scikit-image); where nncf is installed it takes part. All models run in ONNX Runtime;
Onager's also as Onager runs them, and in its default form, which keeps layers that are slower in int8.
"""
import argparse
import contextlib
import importlib.metadata
import importlib.util
import pathlib
import sys
import time
from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime

import onager
from answers import add_options, answer
from compare import describe_machine
from places import WORK
from quantizer_cases import Case, list_cases
from quantizers_table import make_table, write_docs

FOLDER = WORK / "quantizers"


def name_input(path: pathlib.Path) -> str:
    graph = onnx.load(path).graph
    stored = {tensor.name for tensor in graph.initializer}
    return next(value.name for value in graph.input if value.name not in stored)


def make_by_onager(case: Case, feeds: list[dict[str, np.ndarray]], target: pathlib.Path, **options: object) -> dict:
    """With a copy of the last sample behind each fourth, which it holds out: all that the others get calibrates."""
    samples = [feed for k, feed in enumerate(feeds) for feed in [feed] * (2 if k % 4 == 3 else 1)]
    return onager.compress(case.path, samples, target, quantize="int8", threads=1, **options)


def prepare_for_onnxruntime(case: Case) -> pathlib.Path:
    """The model of operator set 13 or more, as quantize_static asks for, and with BatchNormalization folded, as its manual does."""
    from onnx import version_converter
    from onnxruntime.quantization.shape_inference import quant_pre_process

    target, model = FOLDER / f"{case.name}-prepared.onnx", onnx.load(case.path)
    if next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")) < 13:
        with contextlib.suppress(Exception):
            model = version_converter.convert_version(model, 13)
    onnx.save(model, target)
    with contextlib.suppress(Exception):
        quant_pre_process(str(target), str(target), skip_symbolic_shape=True)
    return target


def make_by_onnxruntime(case: Case, feeds: list[dict[str, np.ndarray]], target: pathlib.Path) -> dict:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter(feeds)

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.left, None)

    quantize_static(prepare_for_onnxruntime(case), target, Reader(), quant_format=QuantFormat.QDQ, per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
    return {}


def make_by_nncf(case: Case, feeds: list[dict[str, np.ndarray]], target: pathlib.Path) -> dict:
    import nncf

    onnx.save(nncf.quantize(onnx.load(prepare_for_onnxruntime(case)), nncf.Dataset(feeds), subset_size=len(feeds)), target)
    return {}


# Who makes a model from a case and calibration data; the first is judged against the others.
QUANTIZERS: dict[str, Callable[[Case, list[dict[str, np.ndarray]], pathlib.Path], dict]] = {
    "onager": lambda case, feeds, target: make_by_onager(case, feeds, target, even_if_slower=True),
    "onager-default": make_by_onager,
    "onnxruntime": make_by_onnxruntime,
    "nncf": make_by_nncf,
}


class Judge:
    """Sums what a model's outputs have in common with those of f32."""

    def __init__(self, answers: dict[str, int]) -> None:
        self.answers, self.signal, self.noise, self.same, self.rows = answers, {}, {}, 0, 0

    def add(self, expected: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> None:
        for name, value in expected.items():
            exact = value.astype(np.float64)
            self.signal[name] = self.signal.get(name, 0) + float((exact**2).sum())
            self.noise[name] = self.noise.get(name, 0) + float(((exact - found[name])**2).sum())
            if name in self.answers:
                agree = value.argmax(self.answers[name]) == found[name].argmax(self.answers[name])
                self.same, self.rows = self.same + int(agree.sum()), self.rows + agree.size

    def finish(self) -> dict:
        """Decibels of each output, and the share of rows with the same largest element."""
        decibels = {name: 10 * np.log10(signal / max(self.noise[name], signal * 1e-20)) for name, signal in self.signal.items() if signal > 0}
        return {"sqnr": decibels, "mean_sqnr": float(np.mean(list(decibels.values()))), "top1": self.same / self.rows if self.rows else None}


def open_onnxruntime(path: pathlib.Path) -> Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    """Without the optimisations that fuse quantised operators: those fail on some of the models."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda feed: dict(zip(names, session.run(names, feed), strict=True))


def open_onager(path: pathlib.Path) -> Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    session = onager.InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    return lambda feed: dict(zip(names, session.run(names, feed), strict=True))


def judge(case: Case, run: Callable, feeds: list[dict[str, np.ndarray]], expected: list[dict[str, np.ndarray]]) -> dict:
    found = Judge(case.answers)
    for feed, outputs in zip(feeds, expected, strict=True):
        found.add(outputs, run(feed))
    return found.finish()


def measure_case(case: Case, names: list[str], samples: int) -> dict:
    key = name_input(case.path)
    calibration, test = ([{key: value} for value in case.draw(part, count)] for part, count in (("calibration", samples), ("test", samples // 2)))
    plain, results = open_onnxruntime(case.path), {}
    expected = [plain(feed) for feed in test]
    for name in names:
        target, start = FOLDER / f"{case.name}-{name}.onnx", time.monotonic()
        try:
            report = QUANTIZERS[name](case, calibration, target)
            entry = {"making_seconds": time.monotonic() - start} | judge(case, open_onnxruntime(target), test, expected)
            if name.startswith("onager"):
                entry |= {"by_onager": judge(case, open_onager(target), test, expected), "seconds": report["seconds"],
                          "int8_layers": sum(layer["scheme"] == "int8" for layer in report["layers"]), "layers": len(report["layers"])}
        except Exception as failure:  # noqa: BLE001 - what a quantiser cannot do is its row
            entry = {"error": f"{type(failure).__name__}: {failure}"[:300]}
        results[name] = entry
        print(f"{case.name}, {name}: " + (entry.get("error") or f"{entry['mean_sqnr']:.2f} dB, top-1 {entry['top1']}, {entry['making_seconds']:.0f} s, {entry.get('seconds', '')}"), flush=True)
    return results


def measure(words: list[str], names: list[str], samples: int) -> dict:
    FOLDER.mkdir(parents=True, exist_ok=True)
    onnxruntime.set_default_logger_severity(4)
    machine = describe_machine() | {name: importlib.metadata.version(name) for name in ("nncf", "scikit-image") if importlib.util.find_spec(name.replace("scikit-image", "skimage"))}
    return {"machine": machine, "calibration": samples, "test": samples // 2, "quantizers": names, "cases": {case.name: measure_case(case, names, samples) for case in list_cases(words)}}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("words", nargs="*", metavar="WORD", help="cases whose names contain a word (default: all collected models)")
    known = [name for name in QUANTIZERS if name != "nncf" or importlib.util.find_spec("nncf")]
    parser.add_argument("--quantizers", nargs="+", default=known, choices=known, help=f"of {', '.join(known)}")
    parser.add_argument("--samples", type=int, default=32, help="pictures to calibrate with; half as many judge")
    add_options(parser, "docs/compression.md")
    arguments = parser.parse_args()
    answer(arguments, lambda: measure(arguments.words, arguments.quantizers, arguments.samples), make_table, write_docs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
