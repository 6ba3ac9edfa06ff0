"""Read untrusted files: only regular files, with limits on their size and their lines."""

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

LONGEST_LINE = 1 << 20  # bytes; a sentence has hundreds, a long article tens of thousands
LARGEST_JSON = 16 << 20  # bytes of files such as metrics.json
# A compressed file may unpack to so many bytes, or so many times its size if that is more; text
# compresses to between a third and a tenth.
MOST_UNPACKED = 1 << 30
MOST_RATIO = 200
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")  # the JSON escape of a surrogate
_MOST_DIGITS = 300  # of an integer; a float holds 308


def shown(value: object, most: int = 60) -> str:
    """Return an untrusted value for a message: one line, no control characters, shortened."""
    text = visible(str(value)[: most + 1])
    return text if len(text) <= most else f"{text[:most]}…"


def visible(text: str) -> str:
    r"""Return a text with its control characters as ``\x1b``, which a terminal does not obey."""
    return "".join(
        character if character.isprintable() else f"\\x{ord(character):02x}" for character in text
    )


Refusal = Callable[[str | Path], str | None]
MOST_WORK = 500_000  # draws of a generated corpus, about a minute; a file counts as 100 draws


@dataclass
class _Confinement:
    """Limits within the block of :func:`confined`."""

    refusal: Refusal
    work_left: int


_confinement: ContextVar[_Confinement | None] = ContextVar("confinement", default=None)


@contextlib.contextmanager
def confined(refusal: Refusal, work: int = MOST_WORK) -> Iterator[None]:
    """Limit which files corpora read within the block, and their work to about a minute.

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
    """Raise `DataError` if the block of :func:`confined` around the call forbids a path.

    All code that opens a file of a corpus calls this first, with the path that it opens.

    Raises:
        DataError: with the reason.
    """
    count_work(100)
    confinement = _confinement.get()
    if confinement and (reason := confinement.refusal(path)):
        raise DataError(reason)


def count_work(units: int = 1) -> None:
    """Count work that a corpus does because of its arguments, such as sentences to draw.

    Raises:
        DataError: if it is more than the block of :func:`confined` around the call allows.
    """
    if (confinement := _confinement.get()) is None:
        return
    confinement.work_left -= units
    if confinement.work_left < 0:
        raise DataError(
            f"the corpus takes more work than {MOST_WORK:,} draws, and the checkpoint was not "
            "trained here; choose the corpus yourself with data=NAME"
        )


def why_no_file(path: Path, kind: str) -> str:
    """Return why a path cannot be read as a file: it is missing, a folder, a pipe or a device.

    Args:
        path: it is not a regular file.
        kind: what the file should be, for the message.
    """
    if path.is_dir():
        return f"{path.absolute()} is a folder, not a {kind}"
    if path.exists():
        return (
            f"{path} is a pipe or a device, which can be read only once; write the {kind} to a file"
        )
    return f"there is no {kind} at {path.absolute()}"


def read_bounded(path: Path, most_bytes: int, kind: str) -> bytes:
    """Return the content of a regular file of limited size.

    Args:
        path: the file.
        most_bytes: largest size.
        kind: what the file is, for messages.

    Raises:
        DataError: if it is a folder, a pipe or a device, is too large, or cannot be read.
        FileNotFoundError: if it does not exist.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise DataError(f"{path} is not a regular file, so it is not read as a {kind}")
            content = file.read(most_bytes + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(content) > most_bytes:
        raise DataError(f"{path} is too large: a {kind} has at most {most_bytes:,} bytes")
    return content


def _without_waiting(path: str, flags: int) -> int:
    # Opening a pipe would block until a process opens it for writing.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def bounded_lines(file: BinaryIO, path: object, packed_size: int | None = None) -> Iterator[bytes]:
    """Yield the lines of a file, up to a limit on their length.

    Args:
        file: file open for reading.
        path: its name, for messages.
        packed_size: size of the compressed file that ``file`` unpacks; None: not compressed.

    Raises:
        DataError: if a line is too long, or the file unpacks to too many bytes.
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
                f"line {number:,} of {path} has more than {LONGEST_LINE:,} bytes; split or remove "
                "it, or check that the file is text with one sentence per line"
            )
        if total > most:
            raise DataError(
                f"{path} unpacks to more than {MOST_RATIO} times its size, which text never does; "
                "if you expect that, unpack it yourself"
            )
        yield line


def parse_json(text: str | bytes) -> Any:
    """Parse a JSON document; raise the same error for every kind of damage.

    Integers with more digits than a float holds are errors. So are texts with lone surrogates,
    which no file or terminal can encode.

    Raises:
        DataError: with what is wrong, but not where.
    """
    try:
        text = text if isinstance(text, str) else text.decode("utf-8")
        value = json.loads(text, parse_int=_whole)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError as error:
        raise DataError("it is not readable JSON: it is nested too deeply") from error
    except UnicodeEncodeError as error:
        raise DataError("it holds characters that are not Unicode (lone surrogates)") from error
    except ValueError as error:
        raise DataError(f"it is not JSON ({shown(error, 200)})") from error
    return value


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"a number has {len(digits):,} digits")
    return int(digits)
