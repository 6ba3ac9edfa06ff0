"""Lines in, lines out: what the commands that read and write text files or pipes share."""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO


def check_files(input: str, output: str, buffer: int) -> None:
    """Refuse what would lose lines.

    Raises:
        ValueError: if input and output are one file, or no line would be read at a time.
    """
    if buffer < 1:
        raise ValueError(f"buffer must be at least 1 line, got {buffer}")
    if output != "-" and Path(input).resolve() == Path(output).resolve():
        raise ValueError(f"input and output are the same file, {input}: nothing was written")


def decoded(lines: Iterable[bytes], name: str) -> Iterator[str]:
    """Lines as text, without their ends.

    Raises:
        ValueError: at the first line that is not UTF-8.
    """
    for number, line in enumerate(lines, start=1):
        try:
            yield line.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise ValueError(f"input {name}: line {number:,} is not UTF-8 ({error})") from error


def chunks(lines: Iterator[str], size: int) -> Iterator[list[str]]:
    """So many lines at a time, in order."""
    while chunk := list(itertools.islice(lines, size)):
        yield chunk


def reader(name: str) -> contextlib.AbstractContextManager[Iterable[bytes]]:
    """A file, or standard input for `-`, line by line as they come."""
    if name == "-":
        return contextlib.nullcontext(iter(sys.stdin.buffer.readline, b""))
    return Path(name).open("rb")


def writer(name: str) -> contextlib.AbstractContextManager[TextIO]:
    """A file, or standard output for `-`, in UTF-8."""
    if name == "-":
        sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
        return contextlib.nullcontext(sys.stdout)
    return Path(name).open("w", encoding="utf-8")
