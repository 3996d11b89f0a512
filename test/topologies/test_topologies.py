"""Well-known networks against ONNX Runtime, each compiled once for all batch sizes and lengths; and what must not change a result's bits."""
import gc
import os

import numpy as np
import pytest

import onager

from support.networks import Network

SHAPES = {
    "resnet50": [{"batch": 1}, {"batch": 3}],
    "mobilenetv2": [{"batch": 1}, {"batch": 3}],
    "mnist-mlp": [{"batch": 1}, {"batch": 2}, {"batch": 17}, {"batch": 64}],
    "bert-base": [{"batch": 1, "sequence": 16}, {"batch": 2, "sequence": 7}, {"batch": 1, "sequence": 65}],
    "gpt2": [{"batch": 1, "sequence": 12, "past": 0}, {"batch": 2, "sequence": 1, "past": 12}, {"batch": 1, "sequence": 5, "past": 33}],
}
# Lengths around the tiles of the emitters; too slow for the full size.
MORE_SHAPES = {
    "resnet50": [{"batch": 2}, {"batch": 8}],
    "mobilenetv2": [{"batch": 2}, {"batch": 8}],
    "mnist-mlp": [{"batch": batch} for batch in (0, 3, 5, 8, 11, 12, 13, 31, 100)],
    "bert-base": [{"batch": batch, "sequence": sequence} for batch, sequence in ((3, 1), (1, 2), (1, 15), (5, 17), (1, 128), (2, 33))],
    "gpt2": [{"batch": batch, "sequence": sequence, "past": past} for batch, sequence, past in ((1, 1, 0), (3, 1, 1), (1, 1, 127), (2, 16, 16), (1, 31, 2))],
}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Small networks by name, compiled on first use."""
    made = {}

    def get(name: str) -> Network:
        if name not in made:
            made[name] = Network(name, True, tmp_path_factory.mktemp("small"))
        return made[name]

    return get


@pytest.mark.parametrize("name", SHAPES)
def test_small_network_at_many_shapes(name, small):
    for sizes in SHAPES[name] + MORE_SHAPES[name]:
        small(name).check(sizes)


@pytest.mark.parametrize("name", SHAPES)
def test_full_network(name, tmp_path):
    network = Network(name, False, tmp_path)
    try:
        for sizes in SHAPES[name]:
            network.check(sizes)
    finally:
        # Half a gigabyte of memory, and as much of disk, before the next.
        os.unlink(network.artifact)
        del network
        gc.collect()


@pytest.mark.parametrize("name", SHAPES)
def test_threads_do_not_change_bits(name, small):
    network = small(name)
    feeds = network.make_feeds(MORE_SHAPES[name][-1])
    expected = network.run(feeds)
    for threads in (1, 3):
        session = onager.InferenceSession(network.artifact, threads=threads)
        for node, value in zip(session.get_outputs(), session.run(None, feeds), strict=True):
            np.testing.assert_array_equal(value, expected[node.name], err_msg=f"{threads} threads")


@pytest.mark.parametrize("name", SHAPES)
def test_place_in_the_batch_does_not_change_bits(name, small):
    network = small(name)
    feeds = network.make_feeds(SHAPES[name][0] | {"batch": 8})
    whole, moved = network.run(feeds), network.run({key: np.roll(value, 3, axis=0) for key, value in feeds.items()})
    for key, value in whole.items():
        np.testing.assert_array_equal(moved[key], np.roll(value, 3, axis=0), err_msg=key)


@pytest.mark.parametrize("name", SHAPES)
def test_size_of_the_batch_does_not_change_bits(name, tmp_path):
    """But where products of many rows are made of parts of bf16 and those of few are not: docs/numerics.md."""
    network = Network(name, True, tmp_path, bf16x3=False)
    sizes = SHAPES[name][0] | {"batch": 8}
    feeds = network.make_feeds(sizes)
    whole = network.run(feeds)
    for row in (0, 5):
        alone = network.run({key: np.ascontiguousarray(value[row:row + 1]) for key, value in feeds.items()})
        for key, value in alone.items():
            np.testing.assert_array_equal(value[0], whole[key][row], err_msg=f"{key}, row {row}")


def test_decoding_token_by_token_is_the_same_as_the_whole_prompt(small):
    network = small("gpt2")
    feeds = network.make_feeds({"batch": 2, "sequence": 20, "past": 0})
    whole = network.run(feeds)["logits"]
    pasts = {key: value for key, value in feeds.items() if key.startswith("past")}
    for step in range(20):
        outputs = network.run({"input_ids": np.ascontiguousarray(feeds["input_ids"][:, step:step + 1]), **pasts})
        np.testing.assert_allclose(outputs["logits"][:, 0], whole[:, step], rtol=1e-4, atol=1e-5)
        pasts = {key: outputs[key.replace("past", "present")] for key in pasts}


@pytest.mark.parametrize(("name", "change", "message"), [
    ("mnist-mlp", lambda feeds: feeds | {"image": feeds["image"][:, :700]}, "input 'image': dim 1"),
    ("bert-base", lambda feeds: feeds | {"attention_mask": feeds["attention_mask"][:, 1:]}, r"input 'attention_mask': dim 1 \(sequence\): expected 16, found 15"),
    ("gpt2", lambda feeds: feeds | {"past_value.1": feeds["past_value.1"][:, :, 1:]}, r"input 'past_value.1': dim 2 \(past\): expected 12, found 11"),
])
def test_shapes_that_do_not_fit_are_named(name, change, message, small):
    network = small(name)
    sizes = SHAPES[name][0] | ({"past": 12} if name == "gpt2" else {})
    with pytest.raises(ValueError, match=message):
        network.run(change(network.make_feeds(sizes)))
    network.check(sizes)
