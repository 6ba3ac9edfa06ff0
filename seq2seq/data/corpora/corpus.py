"""What a corpus is: the one face that all corpora have."""

from __future__ import annotations

import re
from typing import Protocol

from datasets import Dataset, DatasetDict


class Corpus(Protocol):
    """Sentence pairs in splits.

    `load` gives splits named "train", "validation", "test" and any further test sets, each with
    text columns `source` and `target`, and optionally `target_2`, `target_3`, … (further
    references), `label` (a class), `alignment` (Pharaoh `i-j` pairs over whitespace words),
    `source_segments` and `target_segments` (`start-end` spans of phrases). A corpus with a `mixing`
    (see `seq2seq.data.mixing`) has the training split with a column `corpus` of numbers.

    To add one: a file here with such a class, and a file in configs/data that names it.
    """

    source_language: str
    target_language: str
    next_step: str

    def load(self) -> DatasetDict:
        """The splits."""
        ...


def references(texts: Dataset) -> list[list[str]]:
    """The reference sets of a split: `target`, and where there are `target_2`, `target_3`, …."""
    further = [name for name in texts.column_names if re.fullmatch(r"target_\d+", name)]
    ordered = sorted(further, key=lambda name: int(name.removeprefix("target_")))
    return [list(texts[name]) for name in ("target", *ordered)]
