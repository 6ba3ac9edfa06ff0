"""Files that may come from a stranger: only regular ones, of bounded size, with bounded lines."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from seq2seq.system.errors import DataError

LONGEST_LINE = 1 << 20  # bytes; a sentence has some hundred, a long article some ten thousand
LARGEST_JSON = 16 << 20  # bytes, of metrics.json and its like
MOST_UNPACKED = 1 << 30  # bytes that a packed file may unpack to, however small it is,
MOST_RATIO = 200  # and how many times its own size beyond that; text packs to a third or a tenth
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")  # as JSON writes half of a character
_MOST_DIGITS = 300  # of a whole number; float has room for 308


def shown(value: object, most: int = 60) -> str:
    """A stranger's value in a message: on one line, without control characters, not too long."""
    text = "".join(
        character if character.isprintable() else f"\\x{ord(character):02x}"
        for character in str(value)[: most + 1]
    )
    return text if len(text) <= most else f"{text[:most]}…"


Refusal = Callable[[str | Path], str | None]
MOST_WORK = 500_000  # draws of a generated corpus, about a minute; a file costs 100 of them


@dataclass
class _Confinement:
    """What the block of :func:`confined` allows."""

    refusal: Refusal
    work_left: int


_confinement: ContextVar[_Confinement | None] = ContextVar("confinement", default=None)


@contextlib.contextmanager
def confined(refusal: Refusal, work: int = MOST_WORK) -> Iterator[None]:
    """Within the block, corpora read only certain files, and work no longer than about a minute.

    Args:
        refusal: returns why a path may not be read, or None.
        work: most units that :func:`count_work` may count.
    """
    token = _confinement.set(_Confinement(refusal, work))
    try:
        yield
    finally:
        _confinement.reset(token)


def check_readable(path: str | Path) -> None:
    """Refuse a path that the block of :func:`confined` around the call does not allow.

    Whatever opens a file of a corpus calls this first, with the path that it opens.

    Raises:
        DataError: saying why.
    """
    count_work(100)
    confinement = _confinement.get()
    if confinement and (reason := confinement.refusal(path)):
        raise DataError(reason)


def count_work(units: int = 1) -> None:
    """Count work that the arguments of a corpus ask for, such as sentences to draw.

    Raises:
        DataError: if it is more than the block of :func:`confined` around the call allows.
    """
    if (confinement := _confinement.get()) is None:
        return
    confinement.work_left -= units
    if confinement.work_left < 0:
        raise DataError(
            f"the corpus takes more work than {MOST_WORK:,} draws, and the checkpoint was not "
            "trained here; choose the corpus yourself (data=NAME …)"
        )


def read_bounded(path: Path, most_bytes: int, kind: str) -> bytes:
    """The content of a regular file that is not too large.

    Args:
        path: of the file.
        most_bytes: that it may have.
        kind: what it is, in messages.

    Raises:
        DataError: if it is a folder, a pipe or a device, too large, or cannot be read.
        FileNotFoundError: if there is none.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise DataError(f"{path} is no regular file, so it is not read as a {kind}")
            content = file.read(most_bytes + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(content) > most_bytes:
        raise DataError(f"{path} is too large: a {kind} has at most {most_bytes:,} bytes")
    return content


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # for the writer of a pipe


def bounded_lines(file: BinaryIO, path: object, packed_size: int | None = None) -> Iterator[bytes]:
    """The lines of a file, none of them too long.

    Args:
        file: open for reading.
        path: its name, in messages.
        packed_size: bytes of the packed file that ``file`` unpacks; None: it is not packed.

    Raises:
        DataError: naming the line that is too long, or the file that unpacks to too much.
    """
    total, most = 0, math.inf
    if packed_size is not None:
        most = max(MOST_UNPACKED, MOST_RATIO * packed_size)
    readline = file.readline
    number = 0
    while line := readline(LONGEST_LINE + 1):
        number += 1
        total += len(line)
        if len(line) > LONGEST_LINE:
            raise DataError(
                f"line {number:,} of {path} has more than {LONGEST_LINE:,} bytes: is it text, with "
                "a sentence a line? Split it, or take it out"
            )
        if total > most:
            raise DataError(
                f"{path} unpacks to more than {MOST_RATIO} times its size, which text does not: "
                "unpack it yourself if it is what you expect"
            )
        yield line


def parse_json(text: str | bytes) -> Any:
    """A JSON document, with every kind of damage told in one way.

    Whole numbers of more digits than a float holds are refused, and so are texts with halves of
    characters (lone surrogates), which no file or terminal can take.

    Raises:
        DataError: saying what is wrong, not where.
    """
    try:
        text = text if isinstance(text, str) else text.decode("utf-8")
        value = json.loads(text, parse_int=_whole)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError as error:
        raise DataError("it is no JSON to be read: nested too deeply") from error
    except UnicodeEncodeError as error:
        raise DataError("it holds characters that are not Unicode (lone surrogates)") from error
    except ValueError as error:
        raise DataError(f"it is no JSON ({shown(error, 200)})") from error
    return value


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"a number has {len(digits):,} digits")
    return int(digits)
