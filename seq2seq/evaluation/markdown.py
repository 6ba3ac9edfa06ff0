"""Markdown of texts that anybody may have written: none of them can end a table or begin a tag."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

SPECIAL = re.compile(r"([\\`*_\[\]<>|~#&!$])")
LONGEST = 500  # characters of a stranger's text


def escaped(text: object, longest: int | None = LONGEST) -> str:
    """One line, read as it is written; of at most so many characters."""
    line = " ".join(str(text).split())
    if longest is not None and len(line) > longest:
        line = f"{line[:longest]}…"
    return SPECIAL.sub(r"\\\1", line)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """The lines of a table; cells are escaped."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return lines + [f"| {' | '.join(escaped(cell) for cell in row)} |" for row in rows]


def code(text: str, language: str = "") -> list[str]:
    """The lines of a block of code, in a fence that the text does not hold."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}{language}", *text.splitlines(), fence]
