"""Trains a classifier of handwritten digits and writes it as ONNX.

Usage: train.py FOLDER

Data: scikit-learn's digits, 1,797 images of 8x8 pixels. Every fifth image is held out. FOLDER gets digits.onnx and digits.npz (the held-out
images and their labels). The seed is fixed, so that each run writes the same network.
"""
import pathlib
import sys
import time

import numpy as np
from sklearn.datasets import load_digits

from network import CLASSES, backward, forward, make_weights, to_onnx

EPOCHS, BATCH, RATE = 10, 32, 4e-3


def load() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns images and labels to train with, then those held out."""
    digits = load_digits()
    images = (digits.images[:, None] / 16).astype(np.float32)
    held_out = np.arange(len(images)) % 5 == 4
    return images[~held_out], digits.target[~held_out], images[held_out], digits.target[held_out]


def train(images: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Minimises cross-entropy with Adam and returns the weights."""
    generator = np.random.default_rng(7)
    weights = make_weights(generator)
    first = {name: np.zeros_like(value) for name, value in weights.items()}
    second = {name: np.zeros_like(value) for name, value in weights.items()}
    step = 0
    for epoch in range(EPOCHS):
        order, losses = generator.permutation(len(images)), []
        rate = np.float32(RATE * (1 + np.cos(np.pi * epoch / EPOCHS)) / 2)
        for chosen in np.split(order, range(BATCH, len(order), BATCH)):
            step += 1
            scores, kept = forward(weights, images[chosen])
            scores = np.exp(scores - scores.max(1, keepdims=True))
            probabilities = scores / scores.sum(1, keepdims=True)
            losses.append(-np.log(probabilities[np.arange(len(chosen)), labels[chosen]] + 1e-9).mean())
            gradients = backward(weights, kept, (probabilities - np.eye(CLASSES, dtype=np.float32)[labels[chosen]]) / len(chosen))
            for name, gradient in gradients.items():
                first[name] = 0.9 * first[name] + 0.1 * gradient
                second[name] = 0.999 * second[name] + 0.001 * gradient ** 2
                weights[name] -= rate * (first[name] / (1 - 0.9 ** step)) / (np.sqrt(second[name] / (1 - 0.999 ** step)) + 1e-8)
        print(f"  epoch {epoch + 1:2} of {EPOCHS}: loss {np.mean(losses):.4f}", flush=True)
    return weights


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    images, labels, test_images, test_labels = load()
    print(f"Training on {len(images)} images; {len(test_images)} are held out")
    start = time.perf_counter()
    weights = train(images, labels)
    model = to_onnx(weights).SerializeToString()
    (folder / "digits.onnx").write_bytes(model)
    np.savez(folder / "digits.npz", images=test_images, labels=test_labels)
    print(f"Trained in {time.perf_counter() - start:.1f} s; wrote {folder / 'digits.onnx'} ({len(model):,} bytes)")


if __name__ == "__main__":
    main()
