"""Damages bytes, reproducibly: truncation, flipped bits, and stretches that are lost, repeated, overwritten or swapped."""
import random


def _truncate(data: bytearray, draw: random.Random) -> None:
    del data[draw.randrange(len(data)):]


def _flip(data: bytearray, draw: random.Random) -> None:
    for _ in range(draw.choice((1, 1, 1, 2, 8))):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)


def _pick(data: bytearray, draw: random.Random) -> slice:
    begin = draw.randrange(len(data))
    return slice(begin, min(len(data), begin + draw.choice((1, 2, 4, 16, 64))))


def _lose(data: bytearray, draw: random.Random) -> None:
    del data[_pick(data, draw)]


def _repeat(data: bytearray, draw: random.Random) -> None:
    place = _pick(data, draw)
    data[place.stop:place.stop] = data[place]


def _overwrite(data: bytearray, draw: random.Random) -> None:
    place = _pick(data, draw)
    data[place] = draw.choice((b"\0", b"\xff", b"\x7f", bytes([draw.randrange(256)]))) * (place.stop - place.start)


def _swap(data: bytearray, draw: random.Random) -> None:
    a, b = _pick(data, draw), _pick(data, draw)
    first, second = bytes(data[a]), bytes(data[b])
    if a.stop <= b.start:
        data[b], data[a] = first, second


def damage(data: bytes, seed) -> bytes:
    """Returns `data` with one to three damages that depend on the seed alone."""
    draw = random.Random(repr(seed))
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 3))):
        if changed:
            draw.choice((_truncate, _flip, _flip, _flip, _lose, _repeat, _overwrite, _swap))(changed, draw)
    return bytes(changed)
