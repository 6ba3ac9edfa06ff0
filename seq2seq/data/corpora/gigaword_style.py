"""Rewrite text in the style of Annotated Gigaword as prepared by Rush et al. (2015)."""

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
    """Function that rewrites a line of text; its settings are part of the cache key.

    Releases of the corpus differ only in the mark for rare words, `<unk>`, `UNK` or `unk`; all are
    replaced by one mark. Other text, such as DUC, must be tokenized too for a model of Gigaword.

    Args:
        lowercase: fold the case.
        tokenize: tokenize as the Penn Treebank does (nltk's `TreebankWordTokenizer`, which Rush et
            al. used), and write brackets as `-lrb-` and so on.
        digits: write every digit as `#`.
        unknown: mark for rare words; None: leave the marks unchanged.
    """

    lowercase: bool = True
    tokenize: bool = False
    digits: bool = True
    unknown: str | None = "<unk>"

    def __call__(self, text: str) -> str:
        """Return the rewritten line; consecutive blanks become one."""
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
    from nltk.tokenize.treebank import TreebankWordTokenizer  # importing it takes seconds

    return TreebankWordTokenizer()
