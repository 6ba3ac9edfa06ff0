"""What a corpus is: the one face that all corpora have."""

from __future__ import annotations

from typing import Protocol

from datasets import DatasetDict


class Corpus(Protocol):
    """Sentence pairs in splits.

    `load` gives splits named "train", "validation", "test" and any further test sets, each with
    text columns `source` and `target`, and optionally `alignment` (Pharaoh `i-j` pairs over
    whitespace words), `source_segments` and `target_segments` (`start-end` spans of phrases).

    To add one: a file here with such a class, and a file in configs/data that names it.
    """

    source_language: str
    target_language: str
    next_step: str

    def load(self) -> DatasetDict:
        """The splits."""
        ...
