"""What the coverage-guided targets start from: inputs of each, in files, and the models whose sessions `calls` uses."""
import io
import pathlib
import re
import struct

import numpy as np
import onnx
import onnx.parser
from PIL import Image
from onnx import numpy_helper

from support.places import ONAGER, ROOT
from support.samples import make_samples, parse
from support.tool import run_onager

# Between them: shared symbols, values whose size is found while running, indices, strings, branches, several outputs.
CALLED = {
    "dims": "(float[N,3] x, float[N,M] z, int64[2] k) => (y, w, u) { y = Add(x, x)\n w = Mul(z, z)\n u = Neg(k) }",
    "found": "(float[N] x, bool[N] keep) => (a, b, c) { a = NonZero(x)\n b = Compress(x, keep)\n c = Relu(x) }",
    "indices": "(float[A,B] x, int64[K] i) => (y, s, v) { y = Gather(x, i)\n s = Shape(x)\n v = Softmax(x) }",
    "shapes": "(float[N] x, int64[2] shape, int64 n) => (y, r) { y = Reshape(x, shape)\n zero = Constant<value_int = 0>()\n one = Constant<value_int = 1>()\n r = Range(zero, n, one) }",
    "strings": "(string[N] a, string[M] b) => (c, d, e) { f = StringConcat(a, a)\n c = StringNormalizer<case_change_action = \"UPPER\">(b)\n d = Cast<to = 1>(a)\n e, l = StringSplit<delimiter = \",\">(f) }",
    "choice": "(bool c, float[N] x, int64 trips) => (y, z) { y = If<then_branch = g () => (float[N] p) { p = Neg(x) }, else_branch = h () => (float[N] q) { q = Exp(x) }>(c)\n"
              " z = Loop<body = b (int64 i, bool go, float[N] v) => (bool more, float[N] w) { more = Identity(go)\n w = Add(v, x) }>(trips, , x) }",
}
REGEX = ["", "a*b+c?", "(a|b){2,5}", "[a-z0-9_]+@[^.]+\\.com", "^\\bfoo\\B.$", "(?:x|(?P<n>y))*", "\\x41\\x{1F600}[[:alpha:]]", "((a{3}){4}){5}", "[^\\d\\W]|\\s", "é+.*",
         "[a-z0-z9_]+{1000}.o+cm", "_]:0@{2,5}+{1000}?: 0}\0.*"]  # the last two took seconds to be found too large
WORDS = {
    "model": ["Add", "Conv", "If", "Loop", "Scan", "MatMul", "then_branch", "else_branch", "body", "to", "axis", "perm", "value", "\x08\x01", "\x10\x07"],
    "formats": ["\\x93NUMPY", "'descr': '<f4'", "'fortran_order': False", "'shape': (2, 3), ", "'<U3'", "'|S2'", "'|V1'", "PK\\x03\\x04", "PK\\x01\\x02", "PK\\x05\\x06", "18446744073709551615"],
    "artifact": ["ONGRMAN5", "\\x7fELF", "onager_model", "\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x7f", "\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x80"],
    "cache": ["ONGRVAR1", "a" * 32, "\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x80", "\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff"],
    "images": ["IHDR", "IDAT", "PLTE", "tRNS", "VP8 ", "VP8L", "VP8X", "jp2h", "jp2c", "pclr", "cmap", "\\xff\\xc2", "\\xff\\xda", "\\xff\\xee", "\\xff\\x51", "\\xff\\x52", "\\xff\\x90"],
    "regex": ["[[:alpha:]]", "[^", "(?:", "(?P<a>", "{2,5}", "{1000}", "\\\\x{10ffff}", "\\\\b", "\\\\pN"],
    "calls": [],
}


def _list_models():
    """Samples, and the models of the importer's text tests, which have all its operators."""
    yield from make_samples().values()
    for path in sorted((ROOT / "test" / "lib" / "Import").rglob("*.onnxtxt")):
        text = "\n".join(line for line in path.read_text().splitlines() if not line.lstrip().startswith("//"))
        if "RegexFullMatch" in text:  # costly, and has a target of its own
            continue
        yield text.encode()
        try:
            yield onnx.parser.parse_model(text).SerializeToString()
        except Exception:  # the test is about a model that does not parse, or about several
            continue


def _list_formats():
    rng = np.random.default_rng(5)
    arrays = [np.asarray(rng.integers(0, 2, (2, 3)), kind) for kind in ("f4", "f8", "f2", "i1", "u1", "i8", "u2", "?")]
    arrays += [np.array(["ab", "é", ""]), np.array([b"x", b"yz"]), np.float32(3), np.zeros((0, 4), np.int32), np.zeros((2, 2), "V1")]
    for array in arrays:
        stream = io.BytesIO()
        np.save(stream, array)
        yield stream.getvalue()
        if array.dtype.kind in "fiu?":
            yield numpy_helper.from_array(np.asarray(array), "x").SerializeToString()
    yield onnx.helper.make_tensor("x", onnx.TensorProto.STRING, [2], [b"a", b"bc"]).SerializeToString()
    yield onnx.helper.make_tensor("x", onnx.TensorProto.INT4, [3], [1, -2, 3]).SerializeToString()
    yield onnx.helper.make_tensor("x", onnx.TensorProto.FLOAT, [3], [1, -2, 3]).SerializeToString()
    for save in (np.savez, np.savez_compressed):
        stream = io.BytesIO()
        save(stream, x=arrays[0], y=arrays[5])
        yield stream.getvalue()


def _list_images():
    rng = np.random.default_rng(9)
    for mode, kinds in (("RGB", ("PNG", "JPEG", "JPEG2000", "WEBP", "TIFF", "BMP", "PPM")), ("L", ("PNG", "JPEG", "JPEG2000", "TIFF", "BMP", "PPM")),
                        ("1", ("PNG", "TIFF", "BMP", "PPM")), ("P", ("PNG", "TIFF", "BMP")), ("RGBA", ("PNG", "JPEG2000", "WEBP", "TIFF")), ("CMYK", ("JPEG", "TIFF"))):
        picture = Image.fromarray(rng.integers(0, 256, (9, 13, 3), dtype=np.uint8)).convert(mode)
        for kind in kinds:
            more = [{"compression": name} for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits")] if kind == "TIFF" else []
            more += {"JPEG": [{"progressive": True}], "WEBP": [{"lossless": True}], "JPEG2000": [{"no_jp2": True}]}.get(kind, [])
            for options in ({}, *more):
                stream = io.BytesIO()
                picture.save(stream, kind, **options)
                yield stream.getvalue()


def _find_manifest(artifact: bytes) -> bytes:
    """The manifest, whose length onager_model has behind its own size, the interface's version and an address."""
    version = int(re.search(r"#define ONAGER_ABI_VERSION (\d+)", (ROOT / "include/onager-rt/abi.h").read_text())[1])
    start, model = artifact.index(b"ONGRMAN5"), artifact.index(struct.pack("<II", 72, version))
    return artifact[start:start + struct.unpack_from("<Q", artifact, model + 16)[0]]


def compile_called(folder: pathlib.Path, sanitize: bool) -> None:
    """Compiles the models whose sessions are called, once for each build of the compiler."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in CALLED.items():
        path = folder / f"{name}.so"
        if not path.exists() or path.stat().st_mtime < ONAGER.stat().st_mtime:
            found = run_onager("compile", "-", "-o", path, *(["--sanitize"] if sanitize else []), input=parse(text).SerializeToString())
            assert found.returncode == 0, found.stderr


def _list_artifacts(models: pathlib.Path):
    for path in sorted(models.glob("*.so")):
        data = path.read_bytes()
        yield b"\0" + data
        (code,) = struct.unpack_from("<Q", data, len(data) - 40)
        yield b"\1" + data[:code]
        manifest = _find_manifest(data)
        yield b"\2" + manifest
        yield b"\3" + bytes(256) + manifest


def _list_entries():
    """Of each kind: a preimage of 13 bytes, a payload of 4, their lengths before them; the target fills in checksums, or they are wrong."""
    preimage, payload = b"guard=batch=4", b"code"
    header = b"ONGRVAR1" + b"a" * 32 + struct.pack("<QQQQ", len(preimage), len(payload), 0, 0)
    for kind in range(3):
        yield bytes([kind]) + (header if kind < 2 else b"") + preimage + payload
        yield bytes([kind])


def _list_calls():
    rng = np.random.default_rng(7)
    for model in range(len(CALLED)):
        yield bytes([model]) + bytes([2] * 64) + bytes([0, 1, 255, 255] * 4)
        for size in (64, 128, 256):
            yield bytes([model]) + rng.integers(0, 256, size, dtype=np.uint8).tobytes()


def write_seeds(target: str, folder: pathlib.Path, models: pathlib.Path) -> None:
    """Writes the inputs that a target starts from, and its dictionary beside the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    seeds = {"model": _list_models, "formats": _list_formats, "regex": lambda: (text.encode() for text in REGEX), "cache": _list_entries, "calls": _list_calls, "images": _list_images,
             "artifact": lambda: _list_artifacts(models)}[target]
    for number, data in enumerate(seeds()):
        (folder / f"seed-{number:03}").write_bytes(data)
    escaped = (word.encode("unicode_escape").decode() if any(ord(c) < 32 for c in word) else word for word in WORDS[target])
    (folder.parent / f"{target}.dict").write_text("".join('"' + word.replace('"', '\\"') + '"\n' for word in escaped))
