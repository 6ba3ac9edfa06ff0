"""Lines in, lines out: what the commands that read and write text files or pipes share."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO, TypeVar

Line = TypeVar("Line")

log = logging.getLogger(__name__)


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
        if output != "-" and name and path_of(name).resolve() == path_of(output).resolve():
            raise ValueError(f"{key} and output are the same file, {name}: nothing was written")


def path_of(name: str) -> Path:
    """The path that a user wrote, perhaps from the home folder `~`."""
    return Path(name).expanduser()


def decoded(lines: Iterable[bytes], name: str) -> Iterator[str]:
    """Lines as text, without their ends and a byte-order mark.

    Raises:
        ValueError: at the first line that is not UTF-8.
    """
    from seq2seq.data.corpora import lines as text  # here: with it come PyTorch and all the rest

    return text.decoded(lines, f"input {name}")


def chunks(lines: Iterator[Line], size: int) -> Iterator[list[Line]]:
    """So many lines (or rows of several files) at a time, in order."""
    while chunk := list(itertools.islice(lines, size)):
        yield chunk


def reader(name: str | None) -> contextlib.AbstractContextManager[Iterable[bytes]]:
    """A file, or standard input for `-`, line by line as they come; nothing for None.

    A file is unpacked if its suffix names a packing. Lines are of bounded length.

    Raises:
        ValueError: if standard input is closed.
    """
    if name is None:
        return contextlib.nullcontext(())
    if name != "-":
        return _opened(path_of(name))
    if sys.stdin is None:
        raise ValueError("input=- reads standard input, which is closed; give input=FILE")
    from seq2seq.system.untrusted_files import bounded_lines

    return contextlib.nullcontext(bounded_lines(sys.stdin.buffer, "standard input"))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Iterable[bytes]]:
    from seq2seq.data.corpora.lines import bytes_of, open_file

    with open_file(path) as file:
        yield bytes_of(file, path)


def writer(name: str) -> contextlib.AbstractContextManager[TextIO]:
    """A file, or standard output for `-`, in UTF-8.

    A file is there when all is written: until then its lines are in `NAME.part`, and what was in
    it before stays if the command fails.
    """
    if name == "-":
        if sys.stdout is None:
            raise ValueError("output=- writes to standard output, which is closed; give a file")
        sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
        return contextlib.nullcontext(sys.stdout)
    path = path_of(name).resolve()
    if path.exists() and not path.is_file():  # a pipe or a device
        return path.open("w", encoding="utf-8")
    return _written(path)


@contextlib.contextmanager
def _written(path: Path) -> Iterator[TextIO]:
    draft = path.with_name(f"{path.name}.part")
    try:
        with draft.open("w", encoding="utf-8") as file:
            yield file
    except BaseException:
        if draft.is_file() and draft.stat().st_size:
            log.warning("the lines that were written until then are in %s", draft)
        else:
            draft.unlink(missing_ok=True)
        raise
    os.replace(draft, path)
