"""Bad files made of good ones: what strangers, bad disks and half-finished downloads send.

Every input is a function of a ``random.Random``, so that a number replays it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

#: What readers stumble over, inserted as it is.
PIECES: tuple[bytes, ...] = (
    b"\0",
    b"\0\0\0\0",
    b"\xef\xbb\xbf",  # BOM
    b"\xff\xfe",  # BOM of UTF-16
    b"\xed\xa0\x80",  # a lone surrogate as UTF-8 writes none
    b"\xc3(",
    b"\xf0\x9f",
    b"\xf4\x90\x80\x80",  # beyond Unicode
    b"\r\n",
    b"\r",
    b"\n\n",
    b"\t",
    b"\t\t",
    b"\x1b[2J",
    b"\x0b\x0c\x1c\x85",
    "\u2028".encode(),
    "\u2029".encode(),
    "\u202e".encode(),
    "a\u0301\u0302\u0303".encode(),
    "\U0001f469\u200d\U0001f467".encode(),
    b"\\ud800",
    b'"\\ud800"',
    b"\\u0000",
    b"NaN",
    b"Infinity",
    b"-1e999",
    b"1e308",
    b"-0",
    b"null",
    b"true",
    b"[]",
    b"{}",
    b'""',
    b'"',
    b"'",
    b"\\",
    b"&a ",
    b"*a",
    b"<<: *a\n",
    b"!!python/object/apply:os.system [ls]",
    b"!!binary x",
    b"!!timestamp x",
    b"2001-99-99",
    b"0b_",
    b"${oc.env:HOME}",
    b"???",
    b"_target_: os.system\n",
    b"../",
    b"/dev/zero",
    b"~",
    b"<seg>",
    b"<seg ",
    b"</seg>",
    b"&#xD800;",
    b"-",
    b"p",
)

Mutation = Callable[[Random, bytes], bytes]


def number(random: Random) -> bytes:
    """Return a number that is out of the usual range."""
    digits = random.choice((1, 3, 10, 20, 40, 400, 5000))
    sign = random.choice((b"", b"-"))
    return sign + random.choice((b"9", b"1", b"0")) * digits


def _flip(random: Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 8, 64))):
        if changed:
            changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _overwrite(random: Random, data: bytes) -> bytes:
    place = random.randrange(len(data) + 1)
    size = random.choice((1, 2, 4, 8, 16))
    value = random.choice((b"\0", b"\xff", b"\x80", b"\x7f", b"\x01")) * size
    value = random.choice((value, random.randbytes(size)))
    return data[:place] + value + data[place + size :]


def _truncate(random: Random, data: bytes) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _part(random: Random, data: bytes) -> bytes:
    start = random.randrange(len(data) + 1)
    return data[start : start + random.choice((1, 4, 16, 64, 512, 1 << 20))]


def _delete(random: Random, data: bytes) -> bytes:
    start = random.randrange(len(data) + 1)
    return data[:start] + data[start + random.choice((1, 2, 4, 16, 64, 512)) :]


def _insert(random: Random, data: bytes) -> bytes:
    place = random.randrange(len(data) + 1)
    piece = random.choice((*PIECES, number(random), random.randbytes(random.randrange(1, 17))))
    return data[:place] + piece + data[place:]


def _repeat(random: Random, data: bytes) -> bytes:
    place = random.randrange(len(data) + 1)
    piece = _part(random, data)[:512] if random.random() < 0.5 else random.choice(PIECES)
    return data[:place] + piece * random.choice((2, 10, 100, 1000, 5000)) + data[place:]


def _nest(random: Random, data: bytes) -> bytes:
    depth = random.choice((10, 100, 1000, 20_000))
    opened, closed = random.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"{a: ", b"}"), (b"- ", b"")))
    place = random.randrange(len(data) + 1)
    return data[:place] + opened * depth + b"1" + closed * depth + data[place:]


def _number(random: Random, data: bytes) -> bytes:
    found = list(re.finditer(rb"\d+", data))
    if not found:
        return _insert(random, data)
    match = random.choice(found)
    return data[: match.start()] + number(random) + data[match.end() :]


def _value(random: Random, data: bytes) -> bytes:
    """Another value in the place of a word or a number, as another type."""
    found = list(re.finditer(rb'"[^"\n]*"|[\w.+-]+', data))
    if not found:
        return _insert(random, data)
    match = random.choice(found)
    return data[: match.start()] + random.choice(PIECES) + data[match.end() :]


def _lines(random: Random, data: bytes) -> bytes:
    """Repeat, move or remove a line."""
    lines = data.split(b"\n")
    line = lines.pop(random.randrange(len(lines)))
    for _ in range(random.choice((0, 1, 2, 3))):
        lines.insert(random.randrange(len(lines) + 1), line)
    return b"\n".join(lines)


def _long(random: Random, data: bytes) -> bytes:
    """Insert a very long line."""
    place = random.randrange(len(data) + 1)
    piece = random.choice((b"a", b"a ", b" ", b"9", b"\0", b"1-1 ", "\u0301".encode()))
    return data[:place] + piece * (random.choice((70_000, 1_200_000)) // len(piece)) + data[place:]


def _line_ends(random: Random, data: bytes) -> bytes:
    return data.replace(b"\n", random.choice((b"\r\n", b"\r", "\u2028".encode(), b"\0", b"\n\n")))


MUTATIONS: tuple[tuple[Mutation, int], ...] = (
    (_flip, 20),
    (_overwrite, 12),
    (_truncate, 8),
    (_part, 2),
    (_delete, 8),
    (_insert, 20),
    (_repeat, 6),
    (_nest, 3),
    (_number, 12),
    (_value, 12),
    (_lines, 6),
    (_long, 1),
    (_line_ends, 2),
)


def mutated(random: Random, seeds: Sequence[bytes]) -> bytes:
    """Return a bad file: mostly a good one with one to six changes, rarely noise.

    Args:
        random: decides; the same state gives the same file.
        seeds: good files of the format.
    """
    kind = random.random()
    if kind < 0.02:
        return random.randbytes(random.choice((0, 1, 7, 64, 1024)))
    data = random.choice(seeds)
    if kind < 0.10:  # the head of one, the tail of another
        other = random.choice(seeds)
        data = data[: random.randrange(len(data) + 1)] + other[random.randrange(len(other) + 1) :]
    if kind < 0.12:
        return data
    kinds, weights = zip(*MUTATIONS, strict=True)
    for mutation in random.choices(kinds, weights, k=random.choice((1, 1, 1, 2, 3, 6))):
        data = mutation(random, data)
    return data
