"""Markdown with untrusted texts, which are escaped so that they cannot add markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from seq2seq.system.untrusted_files import visible

SPECIAL = re.compile(r"([\\`*_\[\]<>|~#&!$])")
LONGEST = 500  # maximum number of characters of an untrusted text


def escaped(text: object, longest: int | None = LONGEST) -> str:
    r"""Return the text on one line, without Markdown, cut after ``longest`` characters.

    Control characters are shown as ``\x1b``.
    """
    line = visible(" ".join(str(text).split()))
    if longest is not None and len(line) > longest:
        line = f"{line[:longest]}…"
    return SPECIAL.sub(r"\\\1", line)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return the lines of a table with escaped cells."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return lines + [f"| {' | '.join(escaped(cell) for cell in row)} |" for row in rows]


def code(text: str, language: str = "") -> list[str]:
    """Return the lines of a code block, with a fence longer than any in the text."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}{language}", *(visible(line) for line in text.splitlines()), fence]
