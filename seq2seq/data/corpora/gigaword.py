"""Gigaword sentence summarization (Rush et al. 2015): first sentences of news, their headlines."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from datasets import DatasetDict

from seq2seq.data.corpora.gigaword_style import GigawordStyle
from seq2seq.data.corpora.headlines import Headlines
from seq2seq.data.corpora.hub import Hub


class Gigaword(Headlines):
    """3.8 million pairs to train on, 189,651 to validate on, and the usual 1,951 to test on.

    The text derives from LDC Gigaword, so everyone must bring it: as
    `scripts/prepare_gigaword.py` lays it out, as harvardnlp's `sent-summary` unpacks
    (`sumdata/train/train.article.txt`, …, `sumdata/Giga/input.txt`), as the release of UniLM does
    (`org_data/train.src.txt`, …), or from the hub.

    Args:
        root: the folder; None for `data/gigaword` here, or `gigaword` in the cache folder.
        style: lower case, digits `#` and one mark of rare words, on both sides; None: as it is.
        dataset: name of the hub's (`Harvard/gigaword`) or of a local copy, instead of a folder.
        on_empty: "error" or "skip" pairs where a side is empty.
        cache_folder: where to keep the checked texts; None for the default place.
    """

    name = "gigaword"
    title = "Gigaword"
    get_it = (
        "It cannot be shipped; lay out what you have by `python scripts/prepare_gigaword.py FOLDER`"
    )
    folders = (".", "train", "Giga", "sumdata/train", "sumdata/Giga", "org_data")
    files: ClassVar = {
        "train": (
            ("train.article", "train.title"),
            ("train10k.article", "train10k.title"),
            ("train.src", "train.tgt"),
        ),
        "validation": (
            ("valid.article.filter", "valid.title.filter"),
            ("valid.article", "valid.title"),
            ("valid1k.article", "valid1k.title"),
            ("dev.src", "dev.tgt"),
        ),
        "test": (
            ("test.article", "test.title"),
            ("test1951.article", "test1951.title"),
            ("input", "task1_ref0"),
            ("test.src", "test.tgt"),
        ),
    }

    def __init__(
        self,
        root: str | Path | None = None,
        *,
        style: GigawordStyle | None = None,
        dataset: str | None = None,
        on_empty: str = "error",
        cache_folder: str | Path | None = None,
    ) -> None:
        super().__init__(root, style=style, on_empty=on_empty, cache_folder=cache_folder)
        self._dataset = dataset

    @property
    def fetched(self) -> str | None:
        """From where the corpus is fetched, if it is."""
        return self._dataset

    def load(self) -> DatasetDict:
        """The splits."""
        if self._dataset is None:
            return super().load()
        return Hub(
            self._dataset,
            source_language=self.source_language,
            target_language=self.target_language,
            source_column="document",
            target_column="summary",
            normalize=self.style,
            on_empty=self._on_empty,
            cache_folder=self._cache,
        ).load()
