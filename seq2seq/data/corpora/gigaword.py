"""Gigaword sentence summarization (Rush et al. 2015): first sentences of news and headlines."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from datasets import DatasetDict

from seq2seq.data.corpora.gigaword_style import GigawordStyle
from seq2seq.data.corpora.headlines import Headlines
from seq2seq.data.corpora.hub import Hub


class Gigaword(Headlines):
    """Gigaword: 3.8 million pairs for training, 189,651 for validation, 1,951 for the usual test.

    The text derives from LDC Gigaword, so you must provide it yourself, in one of these layouts:

    - as `scripts/prepare_gigaword.py` writes it;
    - as harvardnlp's `sent-summary` unpacks (`sumdata/train/train.article.txt`, …,
      `sumdata/Giga/input.txt`);
    - as UniLM's release unpacks (`org_data/train.src.txt`, …);
    - as a dataset of the hub.

    Args:
        root: the folder; None: `data/gigaword`, or `gigaword` in the cache folder.
        style: rewrites both sides: lower case, digits as `#`, one mark for rare words; None: leave
            them unchanged.
        dataset: name on the hub (`Harvard/gigaword`) or a local copy, instead of a folder.
        on_empty: "error" or "skip", for pairs with an empty side.
        cache_folder: cache folder for the checked texts; None: the default folder.
    """

    name = "gigaword"
    title = "Gigaword"
    get_it = (
        "Its license forbids distribution; prepare your copy with "
        "`python scripts/prepare_gigaword.py FOLDER`"
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
        """Name on the hub from which the corpus is fetched; None if it is not."""
        return self._dataset

    def load(self) -> DatasetDict:
        """Return the splits."""
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
