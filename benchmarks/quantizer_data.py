"""Pictures that quantisers are calibrated and judged by: seeded crops, with other scales, brightness and contrast, of the photographs in scikit-learn's and scikit-image's packages; digits; lines of text.

What calibrates and what judges comes from other photographs, digits and words. Pictures are RGB, uint8 [height, width, 3].
"""
import functools

import numpy as np
from PIL import Image, ImageDraw, ImageFont

PARTS = ("calibration", "test")
PHOTOGRAPHS = {"calibration": ("china", "astronaut", "coffee", "rocket", "ihc", "grass"), "test": ("flower", "chelsea", "motorcycle_left", "camera", "hubble_deep_field", "brick")}
PAGES = {"calibration": ("page",), "test": ("text",)}
LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@functools.cache
def load_photograph(name: str) -> np.ndarray:
    import skimage.data
    from sklearn.datasets import load_sample_image

    if name in ("china", "flower"):
        return load_sample_image(name + ".jpg")
    folder = next(iter(skimage.data.__path__))
    for ending in (".png", ".jpg"):
        try:
            return np.asarray(Image.open(f"{folder}/{name}{ending}").convert("RGB"))
        except FileNotFoundError:
            continue
    raise FileNotFoundError(f"scikit-image has no picture {name}")


def crop(random: np.random.Generator, picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """A piece of a picture, 0.4 to 1 times as large as fits, resized; mirrored half of the time, with another brightness and contrast."""
    image, (rows, columns) = Image.fromarray(picture), picture.shape[:2]
    scale = random.uniform(0.4, 1) * min(rows / height, columns / width)
    size = (width * scale, height * scale)
    left, top = random.uniform(0, columns - size[0]), random.uniform(0, rows - size[1])
    piece = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR, (left, top, left + size[0], top + size[1])), np.float32)
    if random.random() < 0.5:
        piece = piece[:, ::-1]
    mean = piece.mean()
    return np.clip((piece - mean) * random.uniform(0.7, 1.2) + mean * random.uniform(0.7, 1.2), 0, 255).astype(np.uint8)


def make_photograph(random: np.random.Generator, part: str, height: int, width: int) -> np.ndarray:
    return crop(random, load_photograph(str(random.choice(PHOTOGRAPHS[part]))), height, width)


def make_page(random: np.random.Generator, part: str, height: int, width: int) -> np.ndarray:
    """A piece of a printed page or, half of the time, lines of letters and digits on a piece of a photograph."""
    if random.random() < 0.5:
        return crop(random, load_photograph(str(random.choice(PAGES[part]))), height, width)
    back = make_paper(random, part, height, width)
    for top in np.arange(random.uniform(0, 0.1), 0.9, random.uniform(0.12, 0.3)):
        write_line(random, back, make_text(random), int(random.integers(height // 20, height // 8)), (random.uniform(0, 0.3) * width, top * height))
    return np.asarray(back)


def make_paper(random: np.random.Generator, part: str, height: int, width: int) -> Image.Image:
    """A faint photograph."""
    back = Image.fromarray(make_photograph(random, part, height, width))
    return Image.blend(back, Image.new("RGB", back.size, tuple(map(int, random.integers(120, 256, 3)))), random.uniform(0.6, 1))


def make_text(random: np.random.Generator) -> str:
    return "".join(random.choice(list(LETTERS + " "), random.integers(3, 20)))


def write_line(random: np.random.Generator, back: Image.Image, text: str, size: int, place: tuple[float, float]) -> None:
    """Writes in a dark colour."""
    ImageDraw.Draw(back).text(place, text, tuple(map(int, random.integers(0, 100, 3))), ImageFont.load_default(size))


def make_line(random: np.random.Generator, part: str, height: int, width: int) -> np.ndarray:
    """Letters and digits in one of many sizes and colours on a piece of a photograph."""
    back = make_paper(random, part, height, width)
    write_line(random, back, make_text(random), int(random.integers(height // 2, height)), (random.uniform(0, height / 2), random.uniform(-0.1, 0.2) * height))
    return np.asarray(back)


@functools.cache
def load_digits() -> np.ndarray:
    from sklearn.datasets import load_digits as load

    return (load().images * (255 / 16)).astype(np.uint8)


def make_digit(random: np.random.Generator, part: str, height: int, width: int) -> np.ndarray:
    """A handwritten digit on black, as wide as MNIST's."""
    digits = load_digits()
    chosen = digits[random.integers(0, len(digits) // 2) + (len(digits) // 2 if part == "test" else 0)]
    picture = np.zeros((height, width, 3), np.uint8)
    inner = Image.fromarray(chosen).resize((width * 5 // 7, height * 5 // 7), Image.Resampling.BICUBIC)
    picture[height // 7:height // 7 + inner.height, width // 7:width // 7 + inner.width] = np.asarray(inner)[..., None]
    return picture
