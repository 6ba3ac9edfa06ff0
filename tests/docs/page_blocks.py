"""Extract fenced blocks, and commands inside sentences, from the pages of the documentation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"# ([\w/.]+\.(?:py|yaml))( \(add\))?\n")
INLINE = re.compile(r"`((?:seq2seq-\w+\s|python\s+scripts/)[^`]+)`")
CUT_SHORT = re.compile(r"…|\bN\b")  # something, or a number, is left to the reader


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; ``file`` is what it is the content of, where it says so."""

    page: str
    line: int
    language: str
    text: str

    @property
    def file(self) -> str | None:
        named = NAMED.match(self.text)
        return named[1] if named else None

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[str]:
    """README, CONTRIBUTING, the guide to corpora, and every page of docs, found by themselves."""
    found = ["README.md", "CONTRIBUTING.md", "data/README.md"]
    docs = sorted((REPOSITORY / "docs").rglob("*.md"))
    return found + [path.relative_to(REPOSITORY).as_posix() for path in docs]


def text(page: str) -> str:
    return (REPOSITORY / page).read_text(encoding="utf-8")


def blocks(page: str) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    whole = text(page)
    return [
        Block(page, whole[: match.start()].count("\n") + 1, match[1], match[2])
        for match in FENCED.finditer(whole)
    ]


def inline(page: str) -> list[Block]:
    """Whole commands inside sentences and tables; those cut short are none."""
    whole = FENCED.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text(page))
    return [
        Block(page, whole[: match.start()].count("\n") + 1, "bash", " ".join(match[1].split()))
        for match in INLINE.finditer(whole)
        if not CUT_SHORT.search(match[1])
    ]
