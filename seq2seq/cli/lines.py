"""Lines in, lines out: what the commands that read and write text files or pipes share."""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, TextIO, TypeVar

Line = TypeVar("Line")


def check_files(output: str, buffer: int, **read: str | None) -> None:
    """Refuse what would lose lines.

    Args:
        output: the file that will be written.
        buffer: how many lines are read at a time.
        read: the files that will be read, by their keys.

    Raises:
        ValueError: if one of them is the output, or no line would be read at a time.
    """
    if buffer < 1:
        raise ValueError(f"buffer must be at least 1 line, got {buffer}")
    for key, name in read.items():
        if output != "-" and name and Path(name).resolve() == Path(output).resolve():
            raise ValueError(f"{key} and output are the same file, {name}: nothing was written")


def decoded(lines: Iterable[bytes], name: str) -> Iterator[str]:
    """Lines as text, without their ends.

    Raises:
        ValueError: at the first line that is too long or not UTF-8.
    """
    from seq2seq.data.foreign import LONGEST_LINE  # here: with it come PyTorch and all the rest

    for number, line in enumerate(lines, start=1):
        if len(line) > LONGEST_LINE:
            raise ValueError(
                f"input {name}: line {number:,} has more than {LONGEST_LINE:,} bytes; give a "
                "sentence a line"
            )
        try:
            yield line.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise ValueError(f"input {name}: line {number:,} is not UTF-8 ({error})") from error


def chunks(lines: Iterator[Line], size: int) -> Iterator[list[Line]]:
    """So many lines (or rows of several files) at a time, in order."""
    while chunk := list(itertools.islice(lines, size)):
        yield chunk


def reader(name: str | None) -> contextlib.AbstractContextManager[Iterable[bytes]]:
    """A file, or standard input for `-`, line by line as they come; nothing for None.

    No more of a line is read than `decoded` needs to refuse it.
    """
    if name is None:
        return contextlib.nullcontext(())
    if name == "-":
        return contextlib.nullcontext(_lines(sys.stdin.buffer))
    return _opened(name)


@contextlib.contextmanager
def _opened(name: str) -> Iterator[Iterable[bytes]]:
    with Path(name).open("rb") as file:
        yield _lines(file)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    from seq2seq.data.foreign import LONGEST_LINE

    return iter(lambda: file.readline(LONGEST_LINE + 1), b"")


def writer(name: str) -> contextlib.AbstractContextManager[TextIO]:
    """A file, or standard output for `-`, in UTF-8."""
    if name == "-":
        sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
        return contextlib.nullcontext(sys.stdout)
    return Path(name).open("w", encoding="utf-8")
