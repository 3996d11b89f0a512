"""Whether a language model still writes the same texts, token by token the most likely one, when its weights have 8 bits: rounded to the nearest, and trained.

Usage: texts.py [--seeds N] [--output RESULT.json]. Needs PyTorch and the shared language model.

What is trained on are texts that the plain model writes itself, from the token that begins a text and a few drawn ones on, and, in one way, few of them and the model's reference texts,
as a user does whose texts must stay. From another seed come texts that judge, unseen by all. The reference whose beginning has no word is left out: two of its tokens are within 1e-4 of
each other.
"""
import argparse
import json
import pathlib
import sys

import numpy as np

import onager
from places import SHARED, WORK

LENGTH, MOST_DRAWN, BEGIN = 200, 11, 1
NO_PAST = np.zeros((5, 1, 4, 0, 8), np.float32)
Text = tuple[list[int], int]  # tokens, and how many of them begin it


class Writer:
    """Writes token by token, with a cache of what was before."""

    def __init__(self, model: pathlib.Path):
        self.session = onager.InferenceSession(model, recompile="off", threads=1)

    def start(self, tokens: list[int]) -> None:
        self.past = [NO_PAST, NO_PAST]
        self.feed(tokens)

    def feed(self, tokens: list[int]) -> None:
        logits, *self.past = self.session.run(None, {"input_ids": np.array([tokens]), "past_key": self.past[0], "past_value": self.past[1]})
        self.logits = logits[0, -1]

    def write(self, random: np.random.Generator, drawn: int, length: int) -> Text:
        """Some tokens by their probabilities, then the most likely ones."""
        tokens = [BEGIN]
        self.start(tokens)
        while len(tokens) <= length:
            chances = np.exp(self.logits - self.logits.max())
            tokens.append(int(random.choice(len(chances), p=chances / chances.sum())) if len(tokens) <= drawn else int(self.logits.argmax()))
            self.feed(tokens[-1:])
        return tokens, drawn + 1

    def count_equal(self, text: Text) -> int:
        """How many tokens behind the beginning are those of the text."""
        tokens, given = text
        self.start(tokens[:given])
        for k in range(given, len(tokens)):
            if int(self.logits.argmax()) != tokens[k]:
                return k - given
            self.feed(tokens[k:k + 1])
        return len(tokens) - given


def write_texts(model: pathlib.Path, seed: int, count: int) -> list[Text]:
    writer, random = Writer(model), np.random.default_rng(seed)
    return [writer.write(random, int(random.integers(1, MOST_DRAWN + 1)), LENGTH) for _ in range(count)]


def judge(model: pathlib.Path, references: list[Text], unseen: list[Text]) -> dict:
    writer = Writer(model)
    equal = [writer.count_equal(text) for text in unseen]
    return {"references": [f"{writer.count_equal(text)} of {len(text[0]) - text[1]}" for text in references],
            "unseen_whole": sum(count == len(text[0]) - text[1] for count, text in zip(equal, unseen, strict=True)), "unseen": len(unseen), "unseen_tokens": float(np.mean(equal))}


def make_feeds(texts: list[Text]) -> list[dict[str, np.ndarray]]:
    return [{"input_ids": np.array([tokens]), "past_key": NO_PAST, "past_value": NO_PAST} for tokens, _ in texts]


def make_models(plain: pathlib.Path, references: list[Text], seeds: int, folder: pathlib.Path):
    """Yields each way to 8 bits with the model that it makes."""
    for group in (32, 64, 128):
        onager.compress(plain, None, folder / "nearest.onnx", quantize="int8-weights", group=group, even_if_slower=True)
        yield {"way": f"nearest, groups of {group}"}, folder / "nearest.onnx"
    for seed in range(seeds):
        others = write_texts(plain, 100 + seed, 300)
        for way, loss, texts, epochs in (("300 texts", "mse", others, 10), ("300 texts", "choices", others, 10), ("20 texts and the references", "choices", references + others[:20], 60)):
            report = onager.train(plain, make_feeds(texts), output=folder / "trained.onnx", quantize="int8-weights", loss=loss, epochs=epochs, learning_rate=1e-5, seed=seed, held_out=0, threads=1,
                                  group=32, even_if_slower=True)
            yield {"way": f"{loss}, {way}", "seed": seed, "seconds": report["seconds"]}, folder / "trained.onnx"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--output", type=pathlib.Path)
    arguments = parser.parse_args()
    shared, folder = SHARED / "llm" / "stories260K", WORK / "texts"
    if not shared.exists():
        print(f"no language model at {shared}: nothing is measured", file=sys.stderr)
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    plain, rows = shared / "stories260K-derived.onnx", []
    references = [(text["all_ids"], len(text["prompt_ids"])) for words, text in json.loads((shared / "greedy_reference.json").read_text()).items() if words]
    unseen = write_texts(plain, 77, 40)
    for way, model in make_models(plain, references, arguments.seeds, folder):
        rows.append(way | judge(model, references, unseen))
        print(json.dumps(rows[-1]), flush=True)
    if arguments.output:
        arguments.output.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
