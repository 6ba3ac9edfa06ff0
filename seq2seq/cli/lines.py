"""Read and write lines of text files or pipes, for the commands."""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TextIO, TypeVar

Line = TypeVar("Line")

log = logging.getLogger(__name__)

#: Control characters by number, as a terminal shows them. Joiners and the like are letters' own.
_VISIBLE = {n: f"\\x{n:02x}" for n in (*range(32), *range(127, 160)) if chr(n) not in "\n\t"}


def check_files(output: str, buffer: int, /, *, key: str = "output", **read: str | None) -> None:
    """Check that no lines can get lost.

    Args:
        output: the file to write.
        buffer: number of lines to read at a time.
        key: the key of the file to write.
        read: the other files, by key.

    Raises:
        ValueError: if a file to read is the output, the output has no name, or buffer is below 1.
    """
    if buffer < 1:
        raise ValueError(f"buffer must be at least 1 line, got {buffer}")
    if not isinstance(output, str):  # null, true
        raise ValueError(f"{key}={output}: give the name of a file, or - for standard output")
    for other, name in read.items():
        if output != "-" and name and name != "-" and _real(name) == _real(output):
            raise ValueError(f"{other} and {key} are the same file, {name}; choose another {key}")


def path_of(name: str) -> Path:
    """Return the path that a user wrote, with `~` expanded."""
    return Path(os.path.expanduser(name))


def _real(name: str) -> Path:
    """Return the path that a name leads to; `Path.resolve` would fail at a loop of links."""
    return Path(os.path.realpath(path_of(name)))


class Skipped:
    """The lines that are skipped because they cannot be used, with the reason.

    Args:
        on_error: ``stop`` or ``skip``.

    Raises:
        ValueError: if ``on_error`` is another word.
    """

    def __init__(self, on_error: str) -> None:
        if on_error not in ("stop", "skip"):
            raise ValueError(f"on_error={on_error} has to be stop or skip")
        self._skips = on_error == "skip"
        self._reasons: dict[int, str] = {}

    @property
    def skip(self) -> Callable[[int, str], None] | None:
        """A function that skips a line, by number and reason; None if such a line is an error."""
        return self._add if self._skips else None

    def refuse(self, number: int, reason: str) -> None:
        """Skip a line, or raise `ValueError` with the reason."""
        if not self._skips:
            raise ValueError(reason)
        self._add(number, reason)

    def reason(self, number: int) -> str | None:
        """Return why a line is skipped, and forget it; None if it is not."""
        return self._reasons.pop(number, None)

    def _add(self, number: int, reason: str) -> None:
        log.warning("%s (skipped)", reason)
        self._reasons[number] = reason


def decoded(lines: Iterable[bytes], name: str, skipped: Skipped | None = None) -> Iterator[str]:
    """Yield lines as text, without line ends and byte-order mark; skipped lines are empty.

    Raises:
        ValueError: at the first line that is not UTF-8, if it is not skipped.
    """
    from seq2seq.data.corpora import lines as text  # imported here, because it imports PyTorch

    skip = None if skipped is None else skipped.skip
    return text.decoded(lines, "input" if name == "-" else name, skip)


@contextlib.contextmanager
def progress(name: str, output: str) -> Iterator[Callable[[int], None]]:
    """Show how many lines of a file are done, on a terminal; yield the function that counts them.

    There is no bar for standard input, whose length is unknown, and none between the lines that
    are written to the terminal.
    """
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

    console = Console(stderr=True)
    shown = name != "-" and path_of(name).is_file() and console.is_terminal
    if not shown or (output == "-" and sys.stdout is not None and sys.stdout.isatty()):
        yield lambda number: None
        return
    with _opened(path_of(name)) as lines:
        total = sum(1 for _ in lines)
    columns = (*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("lines", total=total)
        yield lambda number: bar.advance(task, number)


def finite(value: float) -> float | None:
    """Return a number, or None for −∞ (what a sparse output layer excludes); JSON has no −∞."""
    return value if math.isfinite(value) else None


def chunks(lines: Iterator[Line], size: int) -> Iterator[list[Line]]:
    """Yield lists of at most `size` lines (or rows of several files), in order."""
    while chunk := list(itertools.islice(lines, size)):
        yield chunk


def reader(name: str | None) -> contextlib.AbstractContextManager[Iterable[bytes]]:
    """Open a file, or standard input for `-`, for reading line by line; None has no lines.

    A file with the suffix of a compression is unpacked. The length of lines is limited.

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


def writer(name: str) -> contextlib.AbstractContextManager[TextIO | Terminal]:
    """Open a file, or standard output for `-`, for writing in UTF-8.

    Lines are written to `NAME.part`, which replaces the file at the end. If the command fails, an
    existing file stays as it was. A file with the suffix of a compression is packed.
    """
    if name == "-":
        if sys.stdout is None:
            raise ValueError("output=- writes to standard output, which is closed; give a file")
        sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
        return contextlib.nullcontext(Terminal(sys.stdout) if sys.stdout.isatty() else sys.stdout)
    path = _real(name)
    if path.exists() and not path.is_file():  # a pipe or a device
        return path.open("w", encoding="utf-8")
    return _written(path)


class Terminal:
    """Standard output on a terminal, which shows control characters and does not obey them.

    A vocabulary from anybody, and the input, may hold escape sequences. Files and pipes get the
    lines as they are.

    Args:
        stream: what is written to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write a text."""
        self._stream.write(text.translate(_VISIBLE))

    def flush(self) -> None:
        """Send what was written."""
        self._stream.flush()


def _packed(suffix: str) -> Callable[..., TextIO]:
    """Return the function that opens a file of a suffix."""
    from seq2seq.data.corpora.lines import OPENERS  # imported here, because it imports PyTorch

    return OPENERS.get(suffix.lower(), open)


@contextlib.contextmanager
def _written(path: Path) -> Iterator[TextIO]:
    draft = path.with_name(f"{path.name}.part")
    try:
        with _packed(path.suffix)(draft, "wt", encoding="utf-8") as file:
            yield file
    except BaseException:
        if draft.is_file() and draft.stat().st_size:
            log.warning("the lines written so far are in %s", draft)
        else:
            draft.unlink(missing_ok=True)
        raise
    os.replace(draft, path)
