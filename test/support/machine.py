"""What the processor of this machine has, for tests that hold against kernels or run code of a level."""
import functools
import pathlib

import pytest


@functools.cache
def get_flags() -> frozenset[str]:
    """The processor's features by the kernel's names; empty where it tells none."""
    lines = [line for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")]
    return frozenset(lines[0].split(":", 1)[1].split()) if lines else frozenset()


def has_level(target: str) -> bool:
    """False for a level of processors that this one is below; all that tests run on have AVX2."""
    return target != "x86-64-v4" or {"avx512f", "avx512bw", "avx512vl"} <= get_flags()


def skip_without_level(target: str) -> None:
    """Skips the rest of a test that runs code of a level which this processor lacks."""
    if not has_level(target):
        pytest.skip("this processor has no AVX-512")


def has_dot_product() -> bool:
    """True where vectors of 64 bytes multiply bytes and add up four products."""
    return {"avx512_vnni", "avx512vl"} <= get_flags()


def has_amx() -> bool:
    """True where products of bytes may take tiles."""
    return {"amx_tile", "amx_int8", "avx512_vnni"} <= get_flags()


def has_amx_bf16() -> bool:
    """True where products of bf16 take tiles."""
    return {"amx_tile", "amx_bf16", "avx512vl"} <= get_flags()


def do_bytes_saturate() -> bool:
    """True where ONNX Runtime's sums of two products of bytes with signed bytes saturate at 16 bits: without VNNI."""
    return not {"avx512_vnni", "avx_vnni"} & get_flags()
