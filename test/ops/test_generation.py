"""Searches of com.microsoft that hold whole networks, against ONNX Runtime: the same tokens, and scores as near as products in another order are."""
import os

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import onager
from support import generators
from support.compare import differs
from support.generators import WORDS, make_decoder, make_encoder, make_gpt, make_listener, make_search
from support.seeds import get_seed

END, PADDING, START = 1, 0, 0


def _int(*values) -> np.ndarray:
    return np.array(values, np.int32)


def _float(value: float) -> np.ndarray:
    return np.array([value], np.float32)


@pytest.fixture
def random():
    return np.random.default_rng(get_seed())


def _ids(random, batch: int, length: int, padded: int = 0) -> np.ndarray:
    """Texts of which the first begins with padding."""
    ids = random.integers(2, WORDS, (batch, length)).astype(np.int32)
    ids[0, :padded] = PADDING
    return ids


def _open(model: bytes, folder):
    return onager.InferenceSession(onager.compile(model, folder / "search.so"), threads=2)


def _count_padding(tokens: np.ndarray) -> int:
    """Columns of padding at the end."""
    return int(np.cumprod(np.all(tokens[:, ::-1] == PADDING, axis=0)).sum())


def _compare(model: bytes, turns: list, folder, fixed=()) -> list:
    """Runs one artifact and ONNX Runtime on all turns' inputs; returns Onager's last results."""
    reference, session = onnxruntime.InferenceSession(model), _open(model, folder)
    for inputs in turns:
        feeds = {f"i{place}": value for place, value in enumerate(inputs) if value is not None and place not in fixed}
        wanted, found = reference.run(None, feeds), session.run(None, feeds)
        if found[0].ndim == 2:  # behind the end of all texts, ONNX Runtime leaves what lies in memory
            wanted[0][:, found[0].shape[1] - _count_padding(found[0]):] = PADDING
        assert not differs(found[0], wanted[0]), (differs(found[0], wanted[0]), found[0], wanted[0])
        for mine, theirs in ((a, b) for a, b in zip(found[1:], wanted[1:]) if b is not None):
            # ONNX Runtime leaves the scores of steps that were not run as they lie in memory.
            steps = len(theirs) if theirs.ndim < 4 else max(1, int(np.any(mine, axis=(1, 2, 3)).sum()))
            np.testing.assert_allclose(mine[:steps], theirs[:steps], rtol=2e-3, atol=2e-4)
    return found


def _beam_inputs(ids, most=14, least=0, beams=3, returned=2, length=1.0, repetition=1.0) -> list:
    return [ids, _int(most), _int(least), _int(beams), _int(returned), _float(length), _float(repetition)]


def _gpt(seed: int = 0) -> dict:
    return {"decoder": make_gpt(seed)}


def _t5(seed: int = 0, starts: bool = True, **options) -> dict:
    return {"encoder": make_encoder(seed, starts), "decoder": make_decoder(seed, **options)}


GPT = {"eos_token_id": END, "pad_token_id": PADDING}
T5 = GPT | {"model_type": 1, "decoder_start_token_id": START}
WHISPER = GPT | {"model_type": 2, "decoder_start_token_id": 3}


@pytest.mark.parametrize("seed, end", [(0, END), (0, 20), (1, 35)])
def test_beams_of_gpt(seed, end, random, tmp_path):
    turns = [_beam_inputs(_ids(random, batch, length, 1), beams=beams) for batch, length, beams in ((2, 5, 3), (1, 3, 2), (3, 1, 4), (2, 4, 5))]
    _compare(make_search("BeamSearch", turns[0], [1, 1, 1], _gpt(seed), **GPT | {"eos_token_id": end}), turns, tmp_path)


@pytest.mark.parametrize("attributes", [{"early_stopping": 1, "eos_token_id": 20}, {"no_repeat_ngram_size": 2}])
def test_attributes_of_beams(attributes, random, tmp_path):
    turns = [_beam_inputs(_ids(random, 2, length), returned=3) for length in (4, 6)]
    _compare(make_search("BeamSearch", turns[0], [1, 1, 1], _gpt(), **GPT | attributes), turns, tmp_path)


def test_fewer_words_than_logits(random, tmp_path):
    """As a network without the columns; ONNX Runtime takes the rows of logits for shorter ones."""
    inputs, most = _beam_inputs(_ids(random, 2, 5)), WORDS - 3
    padded, exact = make_gpt(0), make_gpt(0)
    columns = exact.initializer[-1]
    columns.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(columns)[:, :most], columns.name))
    exact.output[0].type.tensor_type.shape.dim[2].dim_value = most
    wanted = _compare(make_search("BeamSearch", inputs, [1, 1, 1], {"decoder": exact}, **GPT), [inputs], tmp_path)
    session = _open(make_search("BeamSearch", inputs, [1, 1, 1], {"decoder": padded}, vocab_size=most, **GPT), tmp_path)
    assert not differs(session.run(None, {f"i{place}": value for place, value in enumerate(inputs)}), wanted)


def test_penalties_of_beams(random, tmp_path):
    """Lengths and penalties that come while running, with all masks."""
    turns = []
    for least, length, repetition in ((9, 0.5, 1.3), (0, 2.0, 0.8), (12, 1.0, 1.0)):
        inputs = _beam_inputs(_ids(random, 2, 5, 2), 14, least, 3, 2, length, repetition)
        words = [(random.random(shape) < 0.6).astype(np.int32) for shape in ((WORDS,), (2, WORDS))]
        turns.append([*inputs, *words, _int([0, 0, 1, 1, 1], [1, 1, 1, 0, 1])])
    _compare(make_search("BeamSearch", turns[0], [1, 1, 1], _gpt(), **GPT | {"eos_token_id": 20}), turns, tmp_path)


@pytest.mark.parametrize("most, beams", [(6, 1), (7, 4), (12, 1)])
def test_known_sizes(most, beams, random, tmp_path):
    """Counts as initialisers, one step alone among them, and one beam."""
    turns = [_beam_inputs(_ids(random, batch, 5), most, 0, beams, 1) for batch in (2, 1)]
    _compare(make_search("BeamSearch", turns[0], [1, 1, 0], _gpt(), fixed=(1, 2, 3, 4, 5, 6), **GPT), turns, tmp_path, fixed=(1, 2, 3, 4, 5, 6))


def test_opening_network(random, tmp_path):
    """The first step of a network of its own."""
    turns = [_beam_inputs(_ids(random, 2, length)) for length in (4, 5)]
    graphs = {"decoder": make_gpt(0), "init_decoder": make_gpt(0, name="opening")}
    _compare(make_search("BeamSearch", turns[0], [1, 1, 1], graphs, **GPT), turns, tmp_path)


@pytest.mark.parametrize("options", [{}, {"hidden": True}, {"whole": True}, {"starts": False}])
def test_beams_of_t5(options, random, tmp_path):
    turns = [_beam_inputs(_ids(random, batch, length, 1)) for batch, length in ((2, 5), (1, 7))]
    _compare(make_search("BeamSearch", turns[0], [1, 1, 1], _t5(0, **options), **T5 | {"eos_token_id": 35}), turns, tmp_path)


def test_mask_of_t5(random, tmp_path):
    inputs = [*_beam_inputs(_ids(random, 2, 5)), None, None, _int([0, 0, 1, 1, 1], [1, 1, 1, 1, 1])]
    _compare(make_search("BeamSearch", inputs, [1, 1, 1], _t5(), **T5), [inputs], tmp_path)


@pytest.mark.parametrize("op", ["BeamSearch", "WhisperBeamSearch"])
@pytest.mark.parametrize("prompt", [0, 1, 3])
def test_beams_of_whisper(op, prompt, random, tmp_path):
    turns = []
    for batch, frames in ((2, 9), (1, 5)):
        inputs = _beam_inputs(random.standard_normal((batch, 6, frames)).astype(np.float32))
        turns.append(inputs + ([None, None, None, _ids(random, batch, prompt)] if prompt else []))
    graphs = {"encoder": make_listener(0), "decoder": make_decoder(0, masked=False, hidden=prompt == 1)}
    _compare(make_search(op, turns[0], [1, 1, 1], graphs, **WHISPER), turns, tmp_path)


def _listen(random, prompt: int = 0) -> list:
    return [*_beam_inputs(random.standard_normal((2, 6, 9)).astype(np.float32)), None, None, None, _ids(random, 2, prompt) if prompt else None]


def _whisper() -> dict:
    return {"encoder": make_listener(0), "decoder": make_decoder(0, masked=False)}


@pytest.mark.parametrize("begin", [20, 35])
def test_timestamps(begin, random, tmp_path):
    """Both kinds of logits_processor, with a temperature."""
    turns = [[*_listen(random, 2), _int(kind), None, None, _float(heat)] for kind, heat in ((1, 1), (0, 1), (1, 2), (1, 0.5))]
    names = "beginning_timestamp_token_id no_timestamps_token_id start_of_lm_token_id transcribe_token_id translate_token_id".split()
    tokens = {name: begin - place for place, name in enumerate(names)}
    _compare(make_search("WhisperBeamSearch", turns[0], [1, 1, 1], _whisper(), **WHISPER, **tokens), turns, tmp_path)


def test_silence(random, tmp_path):
    """The probability of a token in the first step, as the scores tell it."""
    inputs = _listen(random)
    session = _open(make_search("WhisperBeamSearch", inputs, [1, 1, 1, 0, 1], _whisper(), no_speech_token_id=7, **WHISPER), tmp_path)
    _, _, scores, silence = session.run(None, {f"i{place}": value for place, value in enumerate(inputs) if value is not None})
    np.testing.assert_allclose(silence, np.exp(scores[0, :, 0, 7]), rtol=1e-4)


@pytest.mark.parametrize("end", [END, 20])
@pytest.mark.parametrize("attributes", [{}, {"no_repeat_ngram_size": 2}])
def test_greedy(end, attributes, random, tmp_path):
    turns = [[_ids(random, batch, length, 1), _int(20)] for batch, length in ((2, 5), (1, 3), (4, 4), (7, 2))]
    _compare(make_search("GreedySearch", turns[0], [1], _gpt(), **GPT | attributes | {"eos_token_id": end}), turns, tmp_path)


def test_penalties_of_greedy(random, tmp_path):
    turns = []
    for least, repetition in ((9, 1.3), (0, 0.8)):
        words = [(random.random(shape) < 0.6).astype(np.int32) for shape in ((WORDS,), (2, WORDS))]
        turns.append([_ids(random, 2, 5), _int(14), _int(least), _float(repetition), *words, _int([0, 0, 1, 1, 1], [1, 1, 1, 0, 1])])
    _compare(make_search("GreedySearch", turns[0], [1], _gpt(), **GPT | {"eos_token_id": 20}), turns, tmp_path)


@pytest.mark.parametrize("attributes", [{"top_p": 0.8}, {"top_p": 0.5, "min_tokens_to_keep": 3, "temperature": 2.0}, {"top_p": 0.7, "custom": 1, "filter_value": -50.0}])
def test_sampling(attributes, random, tmp_path):
    turns = [[_ids(random, batch, 5), _int(14), None, None, None, None, None, None, _int(seed)] for batch, seed in ((2, 1), (1, 77), (3, 123456))]
    _compare(make_search("Sampling", turns[0], [1, 1], _gpt(), **GPT | attributes), turns, tmp_path)


def test_presence(random, tmp_path):
    """As a network whose logits lack the penalty; ONNX Runtime takes all penalties from the first token."""
    mask = random.integers(0, 2, (1, WORDS)).astype(np.int32)
    inputs = [_ids(random, 1, 5), _int(14), None, None, None, None, None, mask, _int(5)]
    graph = make_gpt(0)
    graph.node[-1].output[0] = "raw"
    graph.initializer.append(numpy_helper.from_array(3 * mask[0].astype(np.float32), "penalty"))
    graph.node.append(helper.make_node("Sub", ["raw", "penalty"], ["logits"]))
    plain = [value if place != 7 else None for place, value in enumerate(inputs)]
    wanted = _compare(make_search("Sampling", plain, [1], {"decoder": graph}, top_p=0.8, **GPT), [plain], tmp_path)
    session = _open(make_search("Sampling", inputs, [1], _gpt(), top_p=0.8, presence_penalty=3.0, **GPT), tmp_path)
    found = session.run(None, {f"i{place}": value for place, value in enumerate(inputs) if value is not None})
    assert not differs(found, wanted)


def test_without_seed(random, tmp_path):
    """The node's name seeds the draws: a run gives the same texts again."""
    inputs = [_ids(random, 3, 4), _int(14)]
    session = _open(make_search("Sampling", inputs, [1], _gpt(), top_p=0.9, **GPT), tmp_path)
    first, second = (session.run(None, {"i0": inputs[0], "i1": inputs[1]}) for _ in range(2))
    assert not differs(first, second) and first[0].min() >= 0 and first[0].max() < WORDS


def test_shared_weights(random, tmp_path):
    """The first step and the loop share one copy of the weights."""
    inputs, graph = _beam_inputs(_ids(random, 2, 5)), make_gpt(0)
    model = make_search("BeamSearch", inputs, [1], {"decoder": graph}, **GPT)
    sizes = [os.path.getsize(onager.compile(one, tmp_path / f"{name}.so")) for name, one in (("search", model), ("doubled", make_search(
        "BeamSearch", inputs, [1], {"decoder": graph, "init_decoder": make_gpt(1, name="opening")}, **GPT)))]
    assert sizes[0] < sizes[1] - 50_000


@pytest.mark.parametrize("place, value, text", [(1, 5, "max_length"), (3, 0, "num_beams"), (4, 4, "num_return_sequences")])
def test_wrong_counts(place, value, text, random, tmp_path):
    inputs = _beam_inputs(_ids(random, 2, 5))
    session = _open(make_search("BeamSearch", inputs, [1], _gpt(), **GPT), tmp_path)
    inputs[place] = _int(value)
    with pytest.raises(RuntimeError, match=text):
        session.run(None, {f"i{k}": one for k, one in enumerate(inputs)})


def test_reference_form(random, tmp_path):
    """-O0, and one thread, give the tokens of -O3 on two."""
    inputs = _beam_inputs(_ids(random, 2, 5))
    model = make_search("BeamSearch", inputs, [1, 1, 1], _gpt(), **GPT)
    wanted = _compare(model, [inputs], tmp_path)
    session = onager.InferenceSession(onager.compile(model, tmp_path / "exact.so", opt_level=0), threads=1)
    found = session.run(None, {f"i{place}": value for place, value in enumerate(inputs)})
    assert not differs(found[0], wanted[0])
    np.testing.assert_allclose(found[2], wanted[2], rtol=1e-3, atol=1e-4)


def test_half_precision(random, tmp_path):
    """Caches and logits in 16 bits, which ONNX Runtime has on other devices alone: the first tokens are those of 32 bits."""
    inputs, graph = [_ids(random, 2, 5), _int(8)], make_gpt(0)
    for value in [*graph.input, *graph.output]:
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            value.type.tensor_type.elem_type = TensorProto.FLOAT16
    for node in graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == "logits" or name.startswith(("past_", "present_")):
                    names[place] = f"{name}_wide"
    casts = [helper.make_node("Cast", [f"past_{k}"], [f"past_{k}_wide"], to=TensorProto.FLOAT) for k in range(generators.LAYERS)]
    nodes = [*casts, *graph.node, *(helper.make_node("Cast", [f"{value.name}_wide"], [value.name], to=TensorProto.FLOAT16) for value in graph.output)]
    del graph.node[:]
    graph.node.extend(nodes)
    wanted = _compare(make_search("GreedySearch", inputs, [1], _gpt(), **GPT), [inputs], tmp_path)
    found = _open(make_search("GreedySearch", inputs, [1], {"decoder": graph}, **GPT), tmp_path).run(None, {"i0": inputs[0], "i1": inputs[1]})
    assert not differs(found, wanted)
