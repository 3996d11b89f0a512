"""The models that quantisers are compared on: the collected ones of f32 that look at pictures, with what they expect of them."""
import dataclasses
import pathlib
from collections.abc import Callable

import numpy as np

from places import find_models, provide_topology
from quantizer_data import make_digit, make_line, make_page, make_photograph

MEAN, DEVIATION = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)


def to_planes(pixels: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)


def normalize(pixels: np.ndarray) -> np.ndarray:
    """As ImageNet's networks are trained."""
    return to_planes((pixels / np.float32(255) - MEAN) / DEVIATION)


def to_luminance(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.float32) @ np.array([[0.299], [0.587], [0.114]], np.float32)


def darken(pixels: np.ndarray) -> np.ndarray:
    """As taken with a fifth of the light."""
    return (pixels / np.float32(255)) ** np.float32(1.5) * np.float32(0.2)


@dataclasses.dataclass
class Case:
    """A model, the pictures that it gets, and, of the outputs whose largest element along an axis is an answer, that axis."""

    name: str
    size: tuple[int, int]
    prepare: Callable[[np.ndarray], np.ndarray]
    answers: dict[str, int] = dataclasses.field(default_factory=dict)
    make: Callable[[np.random.Generator, str, int, int], np.ndarray] = make_photograph
    path: pathlib.Path = pathlib.Path()

    def draw(self, part: str, count: int) -> list[np.ndarray]:
        """Values of the model's input: the same for each call."""
        random = np.random.default_rng([sum(map(ord, self.name)), part == "test"])
        return [self.prepare(self.make(random, part, *self.size)) for _ in range(count)]


COLLECTED = [
    Case("mnist-8", (28, 28), lambda p: to_planes(p[..., :1]), {"Plus214_Output_0": 1}, make_digit),
    Case("mnist-burn", (28, 28), lambda p: to_planes((p[..., :1] / 255 - 0.1307) / 0.3081), {"33": 1}, make_digit),
    Case("yolox-nano-coco", (416, 416), lambda p: to_planes(p[..., ::-1]), {"output": 2}),
    Case("nanodet-m-coco", (320, 320), lambda p: to_planes((p[..., ::-1] - [103.53, 116.28, 123.675]) / [57.375, 57.12, 58.395]), {f"cls_pred_stride_{k}": 2 for k in (8, 16, 32)}),
    Case("ultraface-rfb-320", (240, 320), lambda p: to_planes((p - np.float32(127)) / 128), {"scores": 2}),
    Case("yunet-n-dynamic", (320, 320), lambda p: to_planes(p[..., ::-1])),
    Case("xfeat-320x224", (224, 320), lambda p: to_planes(p / np.float32(255)), {"791": 1}),
    Case("road-segmentation-adas", (512, 896), lambda p: p[None, ..., ::-1].astype(np.float32), {"tf.identity": 3}),
    Case("super-resolution-10", (224, 224), lambda p: to_planes(to_luminance(p) / 255)),
    Case("fns-candy", (720, 720), to_planes),
    Case("tbefn-low-light", (180, 320), lambda p: to_planes(darken(p))),
    Case("ppocr-v3-det", (320, 320), lambda p: normalize(p[..., ::-1]), {}, make_page),
    Case("ppocr-en-number-rec", (32, 320), lambda p: to_planes((p[..., ::-1] / np.float32(255) - 0.5) / 0.5), {"save_infer_model/scale_0.tmp_1": 2}, make_line),
]
# Weights of these are random: topologies that quantisers know, beyond the collected models.
GENERATED = [Case("mobilenetv2", (224, 224), normalize, {"scores": 1}), Case("resnet50", (224, 224), normalize, {"scores": 1})]


def list_cases(wanted: list[str]) -> list[Case]:
    """The cases whose names contain one of the words; all collected models for none."""
    matches = lambda name: any(word in name for word in wanted)
    folder, cases = find_models(), []
    if folder is None:
        print("SKIPPED: the collected models are absent")
    for case in COLLECTED if folder else []:
        if not wanted or matches(case.name):
            cases.append(dataclasses.replace(case, path=folder / case.name / "model.onnx"))
    return cases + [dataclasses.replace(case, path=provide_topology(case.name)) for case in GENERATED if matches(case.name)]
