"""The seed of random tests: ONAGER_TEST_SEED, else the clock. It is printed, so that a failure can be seen again."""
import functools
import os
import time


@functools.cache
def get_seed() -> int:
    """Returns the seed of this test run."""
    seed = int(os.environ.get("ONAGER_TEST_SEED") or time.time_ns() % (1 << 32))
    print(f"\nseed: ONAGER_TEST_SEED={seed}")
    return seed
