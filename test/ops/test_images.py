"""ImageDecoder against Pillow, on images of all kinds that it writes; and on damaged ones: an error that names the node, in bounded memory."""
import concurrent.futures
import io
import resource
import struct
import subprocess
import zlib

import numpy as np
import onnx.parser
import pytest
from PIL import Image

from support.places import ONAGER
from support.seeds import get_seed

MODEL = '<ir_version: 10, opset_import: ["" : 22]> decode (uint8[n] stream) => (y) {{ [read] y = ImageDecoder<pixel_format = "{}">(stream) }}'
FAILURE = "node 'read': the image is damaged, has more than 178956970 pixels, or is of a kind that is not read"

SAVED = [
    *[("PNG", mode, {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")],
    *[("JPEG", "RGB", {"quality": quality, "subsampling": subsampling}) for quality in (40, 95) for subsampling in ("4:4:4", "4:2:2", "4:2:0")],
    ("JPEG", "RGB", {"progressive": True}), ("JPEG", "L", {}), ("JPEG", "RGB", {"restart_marker_blocks": 2}),
    *[("JPEG2000", mode, options) for mode in ("L", "RGB", "RGBA") for options in ({}, {"irreversible": True, "quality_layers": [20]})],
    ("JPEG2000", "RGB", {"no_jp2": True}), ("JPEG2000", "RGB", {"tile_size": (16, 16)}),
    *[("WEBP", mode, options) for mode in ("RGB", "RGBA") for options in ({}, {"lossless": True})],
    *[("TIFF", mode, {"compression": kind}) for mode in ("L", "RGB", "P") for kind in ("raw", "packbits", "tiff_lzw", "tiff_adobe_deflate")],
    *[("TIFF", "1", {"compression": kind}) for kind in ("raw", "group3", "group4")], ("TIFF", "RGB", {"compression": "jpeg"}),
    *[("BMP", mode, {}) for mode in ("1", "L", "P", "RGB", "RGBA")],
    *[("PPM", mode, {}) for mode in ("1", "L", "RGB")],
]


def draw(mode: str, height: int, width: int) -> Image.Image:
    """A picture with areas, edges and noise."""
    rng = np.random.default_rng(get_seed())
    rows, columns = np.mgrid[:height, :width]
    planes = np.stack([rows * 255 // height, columns * 255 // width, (rows + columns) * 5 % 256], axis=-1)
    planes[: height // 2, : width // 2] = rng.integers(0, 256, 3)
    picture = Image.fromarray(np.clip(planes + rng.integers(-9, 9, planes.shape), 0, 255).astype(np.uint8))
    if mode == "I;16":
        return Image.fromarray((planes[:, :, 0] * 257).astype(np.uint16))
    if mode.endswith("A"):
        picture.putalpha(Image.fromarray(rng.integers(0, 256, (height, width), dtype=np.uint8)))
    return picture.convert(mode)


def encode(kind: str, mode: str, options: dict, height=37, width=23) -> np.ndarray:
    stream = io.BytesIO()
    draw(mode, height, width).save(stream, kind, **options)
    return np.frombuffer(stream.getvalue(), np.uint8)


def read_by_pillow(stream: np.ndarray) -> np.ndarray:
    image = Image.open(io.BytesIO(stream.tobytes()))
    if image.mode.startswith("I"):  # Pillow has no 16-bit grey of three channels
        return np.repeat((np.asarray(image).astype(np.int64) >> 8).astype(np.uint8)[:, :, None], 3, axis=2)
    return np.asarray(image.convert("RGB"))


@pytest.fixture(scope="module")
def sessions():
    import onager

    return {form: onager.InferenceSession(onnx.parser.parse_model(MODEL.format(form)).SerializeToString()) for form in ("RGB", "BGR", "Grayscale")}


@pytest.mark.parametrize("kind, mode, options", SAVED, ids=lambda value: str(value).translate(str.maketrans("{}' :", "-----")))
def test_images_are_those_of_pillow(sessions, kind, mode, options):
    for height, width in ((37, 23), (1, 1), (16, 64)):
        stream = encode(kind, mode, options, height, width)
        wanted = read_by_pillow(stream)
        for form, session in sessions.items():
            found, = session.run(None, {"stream": stream})
            shown = {"RGB": wanted, "BGR": wanted[:, :, ::-1], "Grayscale": np.asarray(Image.fromarray(wanted).convert("L"))[:, :, None]}[form]
            np.testing.assert_array_equal(found, shown, err_msg=f"{form}, {height} x {width}")


def test_inks_become_colours(sessions):
    inks = np.array([[[0, 0, 0, 0], [255, 0, 0, 0], [0, 255, 255, 0], [0, 0, 0, 255]]], np.uint8)
    stream = io.BytesIO()
    Image.fromarray(np.repeat(np.repeat(inks, 8, axis=0), 8, axis=1), "CMYK").save(stream, "JPEG", quality=100, subsampling=0)
    found, = sessions["RGB"].run(None, {"stream": np.frombuffer(stream.getvalue(), np.uint8)})
    wanted = np.array([[255, 255, 255], [0, 255, 255], [255, 0, 0], [0, 0, 0]])
    assert np.abs(found[4, 4::8].astype(int) - wanted).max() <= 4


def make_bitmap(width, height, bits, compression, samples, masks=b"", palette=b"") -> np.ndarray:
    start = 14 + 40 + len(masks) + len(palette)
    header = struct.pack("<2sIHHI", b"BM", start + len(samples), 0, 0, start)
    header += struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(samples), 0, 0, len(palette) // 4, 0)
    return np.frombuffer(header + masks + palette + samples, np.uint8)


PALETTE = bytes([0, 0, 0, 0, 10, 20, 30, 0, 40, 50, 60, 0])
BITMAPS = {
    "runs of 8 bits": (make_bitmap(3, 2, 8, 1, bytes([3, 1, 0, 0, 0, 3, 2, 1, 0, 0, 0, 1]), palette=PALETTE), [[2, 1, 0], [1, 1, 1]]),
    "runs with a jump": (make_bitmap(3, 2, 8, 1, bytes([0, 2, 2, 1, 1, 2, 0, 1]), palette=PALETTE), [[0, 0, 2], [0, 0, 0]]),
    "runs of 4 bits": (make_bitmap(3, 1, 4, 2, bytes([3, 0x12, 0, 1]), palette=PALETTE), [[1, 2, 1]]),
    "top down": (make_bitmap(1, -2, 8, 0, bytes([1, 0, 0, 0, 2, 0, 0, 0]), palette=PALETTE), [[1], [2]]),
}


@pytest.mark.parametrize("name", BITMAPS)
def test_bitmaps_that_pillow_does_not_write(sessions, name):
    stream, indices = BITMAPS[name]
    colours = np.frombuffer(PALETTE, np.uint8).reshape(-1, 4)[:, 2::-1]
    np.testing.assert_array_equal(sessions["RGB"].run(None, {"stream": stream})[0], colours[indices])


def test_bitmaps_with_masks(sessions):
    stream = make_bitmap(2, 1, 16, 3, struct.pack("<HH", 0xF800, 0x07FF), masks=struct.pack("<III", 0xF800, 0x07E0, 0x001F))
    np.testing.assert_array_equal(sessions["RGB"].run(None, {"stream": stream})[0], [[[255, 0, 0], [0, 255, 255]]])
    stream = make_bitmap(2, 1, 16, 0, struct.pack("<HH", 0x7C00, 0x03FF))
    np.testing.assert_array_equal(sessions["RGB"].run(None, {"stream": stream})[0], [[[255, 0, 0], [0, 255, 255]]])


@pytest.mark.parametrize("text, wanted", [("P1\n# a comment\n3 2\n101\n0 1 0\n", [[0, 255, 0], [255, 0, 255]]), ("P2 2 1 15 0 15", [[0, 255]]), ("P5\n2 1\n65535\n\0\0\xff\xff", [[0, 255]])])
def test_portable_maps_as_text_and_of_other_depth(sessions, text, wanted):
    found, = sessions["RGB"].run(None, {"stream": np.frombuffer(text.encode("latin1"), np.uint8)})
    np.testing.assert_array_equal(found, np.repeat(np.array(wanted)[:, :, None], 3, axis=2))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


HOSTILE = {
    "empty": b"",
    "unknown": b"GIF89a" + bytes(64),
    "greatest PNG": b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 2, 0, 0, 0)) + _chunk(b"IEND", b""),
    "PNG larger than its data": b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", 10000, 10000, 8, 2, 0, 0, 0)) + _chunk(b"IDAT", zlib.compress(b"")) + _chunk(b"IEND", b""),
    "PNG with a wrong checksum": b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))[:-1] + b"\0",
    "PNM larger than its data": b"P6 10000 10000 255 abc",
    "PNM of no size": b"P6 0 10 255 ",
    "BMP larger than its data": make_bitmap(10000, 10000, 24, 0, bytes(12)).tobytes(),
    "BMP without colours": make_bitmap(4, 1, 8, 0, bytes(4)).tobytes(),
    "BMP of 2^31 rows": make_bitmap(1, -(2**31), 24, 0, bytes(12)).tobytes(),
    "TIFF without a directory": b"II*\0\xff\xff\xff\xff",
    "JPEG of a marker": b"\xff\xd8\xff",
    "JPEG 2000 of a signature": b"\xff\x4f\xff\x51",
    "WebP of a header": b"RIFF\x04\0\0\0WEBP",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_headers(sessions, name):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(RuntimeError) as caught:
        sessions["RGB"].run(None, {"stream": np.frombuffer(HOSTILE[name], np.uint8)})
    assert str(caught.value) == FAILURE
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


# With these all data is needed: WebP's decoder draws what it has, and TIFF's directory may lie in front of what is lost.
@pytest.mark.parametrize("kind, options", [("PNG", {}), ("JPEG", {}), ("JPEG2000", {}), ("WEBP", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("BMP", {}), ("PPM", {})])
def test_truncated_images(sessions, kind, options):
    stream = encode(kind, "RGB", options)
    for kept in range(0, len(stream) - 16, max(1, len(stream) // 50)):
        with pytest.raises(RuntimeError) as caught:
            sessions["RGB"].run(None, {"stream": stream[:kept]})
        assert str(caught.value) == FAILURE


@pytest.mark.parametrize("kind, mode, options", SAVED, ids=lambda value: str(value).translate(str.maketrans("{}' :", "-----")))
def test_damaged_images(sessions, kind, mode, options):
    rng = np.random.default_rng(get_seed())
    stream = encode(kind, mode, options)
    for _ in range(60):
        damaged = stream.copy()
        places = rng.integers(0, len(stream) if rng.integers(2) else min(len(stream), 200), rng.integers(1, 8))
        damaged[places] = rng.integers(0, 256, len(places))
        try:
            found, = sessions["Grayscale"].run(None, {"stream": damaged})
            assert found.shape[2] == 1
        except RuntimeError as error:
            assert str(error) == FAILURE
    np.testing.assert_array_equal(sessions["RGB"].run(None, {"stream": stream})[0], read_by_pillow(stream))


def test_callers_read_at_the_same_time(sessions):
    streams = [encode(kind, "RGB", {}, 64 + k, 64) for k, kind in enumerate(("JPEG", "PNG", "WEBP", "TIFF", "JPEG2000"))] * 8
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda stream: sessions["RGB"].run(None, {"stream": stream})[0], streams)
        for stream, pixels in zip(streams, found):
            np.testing.assert_array_equal(pixels, read_by_pillow(stream))


def test_unknown_order_is_refused():
    import onager

    with pytest.raises(onager.CompileError, match="pixel_format is 'CMYK', expected RGB, BGR or Grayscale"):
        onager.compile(onnx.parser.parse_model(MODEL.format("CMYK")).SerializeToString())


@pytest.mark.parametrize("options", [[], ["--target=portable"], ["-O0"], ["--sanitize"]], ids=" ".join)
def test_programs_read_images(tmp_path, options):
    (tmp_path / "model.onnx").write_text(MODEL.format("RGB"))
    stream = encode("JPEG", "RGB", {})
    np.save(tmp_path / "stream.npy", stream)
    if "--sanitize" in options:
        run = [ONAGER, "run", tmp_path / "model.onnx", "--sanitize", "--input", f"stream={tmp_path / 'stream.npy'}"]
    else:
        subprocess.run([ONAGER, "compile", tmp_path / "model.onnx", "--emit=exe", *options, "-o", tmp_path / "decode"], check=True)
        run = [tmp_path / "decode", tmp_path / "stream.npy"]
    subprocess.run([*run, "--output-dir", tmp_path], check=True, capture_output=True)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), read_by_pillow(stream))


def test_objects_with_readers_need_nothing(tmp_path):
    (tmp_path / "model.onnx").write_text(MODEL.format("RGB"))
    for name in ("first", "second"):
        subprocess.run([ONAGER, "compile", tmp_path / "model.onnx", "--emit=obj", f"--name={name}", "-o", tmp_path / f"{name}.o"], check=True)
    subprocess.run(["c++", "-shared", "-nostdlib", "-Wl,--no-undefined", tmp_path / "first.o", tmp_path / "second.o", "-o", tmp_path / "both.so"], check=True)
    names = subprocess.run(["nm", "-D", tmp_path / "both.so"], check=True, capture_output=True, text=True).stdout.split()[2::3]
    assert sorted(names) == ["first_model", "second_model"]
