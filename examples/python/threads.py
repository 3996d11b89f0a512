"""Several threads run one session at the same time. The GIL is released while a model runs; each run has memory of its own.

Usage: threads.py IRIS    (as .onnx or as ONNX text)
"""
import concurrent.futures
import sys

import numpy as np

import onager


def classify(session: onager.InferenceSession, seed: int) -> np.ndarray:
    """Runs a random batch."""
    flowers = np.random.default_rng(seed).random((1 + seed % 7, 4), dtype=np.float32) * 7
    return session.run(None, {"measurements": flowers})[0]


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    session = onager.InferenceSession(sys.argv[1], threads=2)
    alone = [classify(session, seed) for seed in range(400)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda seed: classify(session, seed), range(400)))
    wrong = sum(not np.array_equal(a, b) for a, b in zip(alone, together, strict=True))
    print(f"{len(together)} batches on 8 threads: {wrong} with other bits than alone")
    if wrong:
        sys.exit(1)


if __name__ == "__main__":
    main()
