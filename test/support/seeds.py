"""The seed of random tests: ONAGER_TEST_SEED, a number or `clock`; without it the same one each time. It is printed, so that a failure can be seen again."""
import functools
import os
import time

ALWAYS = 20250101


@functools.cache
def get_seed() -> int:
    """Returns the seed of this test run."""
    told = os.environ.get("ONAGER_TEST_SEED") or ALWAYS
    seed = time.time_ns() % (1 << 32) if told == "clock" else int(told)
    print(f"\nseed: ONAGER_TEST_SEED={seed}")
    return seed
