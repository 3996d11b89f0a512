"""Generators for com.microsoft's searches over small networks, against ONNX Runtime."""
import functools

import numpy as np

from fuzz.draw import Fixed
from fuzz.schemas_microsoft import loose, trim
from support import generators

END, PADDING, START = 1, 0, 2


@functools.cache
def _networks(model: int, seed: int) -> dict:
    if model == 0:
        return {"decoder": generators.make_gpt(seed)}
    encoder = generators.make_encoder(seed, seed % 2 == 0) if model == 1 else generators.make_listener(seed)
    return {"encoder": encoder, "decoder": generators.make_decoder(seed, masked=model == 1)}


def _ids(draw, batch: int) -> np.ndarray:
    return draw.numbers.integers(2, generators.WORDS, (batch, draw.whole(1, 6))).astype(np.int32)


def _words(draw, *shape) -> np.ndarray:
    """A mask that keeps texts from ending: what lies behind the end of a greedy one is not defined."""
    mask = (draw.random.random(shape) < 0.7).astype(np.int32)
    mask[..., END] = 0
    return mask


def _beams(draw):
    model = 2 if draw.name == "WhisperBeamSearch" else draw.whole(0, 1)
    batch, beams = draw.whole(1, 3), draw.whole(1, 4)
    whole = lambda value: Fixed(np.array([value], np.int32)) if draw.often() else np.array([value], np.int32)
    source = draw.values(0, (batch, 6, draw.whole(2, 9)), -2, 2).astype(np.float32) if model == 2 else _ids(draw, batch)
    inputs = [source, whole(draw.whole(9, 16)), whole(draw.whole(0, 8)), whole(beams), whole(draw.whole(1, beams))]
    inputs += [np.array([draw.one(0.5, 1, 2)], np.float32), np.array([draw.one(1, 1.2)], np.float32)]
    inputs += [_words(draw, generators.WORDS) if draw.often() else None, _words(draw, batch, generators.WORDS) if draw.often() else None]
    attributes = {"eos_token_id": draw.one(END, 20), "pad_token_id": PADDING, "model_type": model, "no_repeat_ngram_size": draw.one(0, 2), "early_stopping": draw.whole(0, 1)}
    if model:
        attributes["decoder_start_token_id"] = START
    draw.types["F"] = "float" if model == 2 else "int32"
    return loose(draw.node(trim(inputs), 2, **attributes, **_networks(model, draw.whole(0, 3))))


def _greedy(draw):
    batch = draw.whole(1, 3)
    inputs = [_ids(draw, batch), np.array([draw.whole(8, 16)], np.int32), None, np.array([draw.one(1, 1.2)], np.float32), _words(draw, generators.WORDS)]
    attributes = {"eos_token_id": END, "pad_token_id": PADDING, "no_repeat_ngram_size": draw.one(0, 2)}
    if draw.name == "Sampling":
        inputs += [None, None, None, np.array([draw.numbers.integers(1, 9999)], np.int32)]
        attributes |= {"top_p": draw.one(0.5, 0.9), "temperature": draw.one(0.8, 1.5), "custom": draw.whole(0, 1)}
    return loose(draw.node(trim(inputs), **attributes, **_networks(0, draw.whole(0, 3))))


GENERATORS = {"BeamSearch": _beams, "GreedySearch": _greedy, "Sampling": _greedy, "WhisperBeamSearch": _beams}
