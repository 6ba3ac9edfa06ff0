"""The interface of corpora."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from seq2seq.data.cache import cache_folder as default_cache_folder
from seq2seq.data.cache import column_key, content_key
from seq2seq.system.errors import DataError
from seq2seq.system.untrusted_files import check_readable, shown

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

SIDES = ("source", "target")  # the columns that every split has


class Corpus(Protocol):
    """Interface of a corpus: sentence pairs in splits.

    `load` returns splits named "train", "validation", "test" and any other test sets. Each has the
    text columns `source` and `target`, and may have others:

    - `target_2`, `target_3`, …: further references, empty where a reference is missing;
    - `label`: a class;
    - `alignment`: Pharaoh pairs `i-j` of whitespace-separated words;
    - `source_segments` and `target_segments`: `start-end` spans of phrases.

    If a corpus has the attribute `mixing` (see `seq2seq.data.mixing`), the column `corpus` of its
    training split has the number of each pair's corpus. If it has the attribute `fetched`, that is
    the name on the hub from which it is fetched.

    To add a corpus, add a file here with such a class, and a file in configs/data that names it.
    """

    source_language: str
    target_language: str
    next_step: str

    def load(self) -> DatasetDict:
        """Return the splits."""
        ...


def likely_folders(
    name: str, root: str | Path | None, cache_folder: str | Path | None = None
) -> list[Path]:
    """Return the folders to search for a corpus: `root`, or `data/NAME` and the cache folder."""
    if root is not None:
        check_readable(folder := Path(os.path.expanduser(root)))
        try:
            folder.is_dir()
        except OSError as error:  # for example, the name is too long
            raise DataError(f"{shown(folder, 200)} cannot be read: {error.strerror}") from error
        return [folder]
    return [Path("data") / name, default_cache_folder(cache_folder) / name]


def reference_columns(columns: Iterable[str]) -> list[str]:
    """Return the columns with references: `target`, then `target_2`, `target_3` and so on."""
    numbers = {
        int(match[1] or 1): name
        for name in columns
        if (match := re.fullmatch(r"target(?:_(\d+))?", name))
    }
    return [numbers[number] for number in sorted(numbers)]


def references(texts: Dataset) -> list[list[str]]:
    """Return the reference sets of a split, in the order of `reference_columns`."""
    return [list(texts[name]) for name in reference_columns(texts.column_names)]


def content_of(texts: Dataset) -> str:
    """Return a hash of the texts of a split; equal examples in the same order have the same."""
    names = sorted({*texts.column_names} - {"alignment", "source_segments", "target_segments"})
    columns = [f"{name} {column_key(texts.with_format('arrow')[name])}" for name in names]
    return content_key(len(texts), *columns)
