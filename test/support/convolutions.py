"""What tests of the forms of convolutions share: compiling with a report, and what holds for any threads and batches."""
import json

import numpy as np


def compile_with_report(model: bytes, path, **options) -> tuple:
    """Returns the artifact's path and the compile report."""
    import onager

    report = []
    artifact = onager.compile(model, path, report=report, **options)
    return artifact, json.loads(report[0])


def run_with_threads(artifact, x: np.ndarray, counts: tuple) -> np.ndarray:
    """Runs with each number of threads; requires the same bits of all, and returns them."""
    import onager

    results = [onager.InferenceSession(artifact, threads=threads).run(None, {"x": x})[0] for threads in counts]
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)
    return results[0]


def check_batches(artifact, x: np.ndarray, batch: int) -> None:
    """Requires that the bits of each of the first `batch` images do not depend on its place in the batch."""
    import onager

    session = onager.InferenceSession(artifact, threads=2)
    alone = [session.run(None, {"x": x[k : k + 1]})[0][0] for k in range(batch)]
    together = session.run(None, {"x": x[:batch]})[0]
    assert together.shape[0] == batch
    for image, single in zip(together, alone):
        np.testing.assert_array_equal(image, single)
