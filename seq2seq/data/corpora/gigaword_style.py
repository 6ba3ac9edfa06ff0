"""Text in the conventions of Annotated Gigaword as Rush et al. (2015) prepared it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

UNKNOWN = re.compile(r"(?<!\S)(?:<unk>|\[unk\]|unk)(?!\S)", re.IGNORECASE)
DIGIT = re.compile(r"\d")
BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}


@dataclass(frozen=True)
class GigawordStyle:
    """Rewrites a line of text; what it does is part of the cache's key.

    Releases of the corpus agree but for the rare word's mark, which is `<unk>`, `UNK` or `unk`: it
    is made one. Other text (DUC) must be tokenized, too, before a model of Gigaword reads it.

    Args:
        lowercase: fold the case.
        tokenize: split as the Penn Treebank does (nltk's `TreebankWordTokenizer`, which Rush et al.
            used), brackets written `-lrb-` and so on.
        digits: write every digit as `#`.
        unknown: the mark of a rare word; None leaves the marks as they are.
    """

    lowercase: bool = True
    tokenize: bool = False
    digits: bool = True
    unknown: str | None = "<unk>"

    def __call__(self, text: str) -> str:
        """The line rewritten; runs of blanks become one."""
        text = text.lower() if self.lowercase else text
        if self.tokenize:
            text = " ".join(BRACKETS.get(token, token) for token in _treebank().tokenize(text))
        if self.digits:
            text = DIGIT.sub("#", text)
        if (mark := self.unknown) is not None:
            text = UNKNOWN.sub(lambda _: mark, text)
        return " ".join(text.split())


@cache
def _treebank() -> Any:
    from nltk.tokenize.treebank import TreebankWordTokenizer  # seconds, and few need it

    return TreebankWordTokenizer()
