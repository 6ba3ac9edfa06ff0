"""The base class of corpora of articles and headlines in a local folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from datasets import DatasetDict

from seq2seq.data.corpora.corpus import likely_folders
from seq2seq.data.corpora.gigaword_style import GigawordStyle
from seq2seq.data.corpora.text import Text
from seq2seq.system.errors import DataError

SUFFIXES = (".gz", ".txt.gz", ".txt", "")
Names = tuple[str, ...]
"""Names of the files of a split: articles, then headlines, with one file per reference."""


class Headlines:
    """A corpus of headlines in a folder; the names of the files tell the splits.

    Args:
        root: the folder; None: `data/NAME`, or `NAME` in the cache folder.
        style: rewrites articles, and headlines if `style_headlines` is True; None: neither.
        on_empty: "error" or "skip", for pairs with an empty side.
        cache_folder: cache folder for the checked texts; None: the default folder.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    get_it: ClassVar[str]
    folders: ClassVar[Sequence[str]] = (".",)
    files: ClassVar[Mapping[str, Sequence[Names]]]
    """For each split the names that its files may have, without suffixes, most likely first."""
    needed: ClassVar[Sequence[str]] = ("train", "validation", "test")
    style_headlines: bool = True
    next_step = "try another attention: attention=fusedmax"
    source_language = "article"
    target_language = "headline"

    def __init__(
        self,
        root: str | Path | None = None,
        *,
        style: GigawordStyle | None = None,
        on_empty: str = "error",
        cache_folder: str | Path | None = None,
    ) -> None:
        self.style, self._on_empty, self._cache = style, on_empty, cache_folder
        self._roots = likely_folders(self.name, root, cache_folder)

    def load(self) -> DatasetDict:
        """Return the splits.

        Raises:
            DataError: if the files of a needed split are missing.
        """
        paths_of_splits = {split: self._find(split) for split in self.files}
        if missing := [split for split in self.needed if paths_of_splits[split] is None]:
            raise DataError(self._missing(missing[0]))
        splits: dict[str, Any] = {
            split: {"source": paths[0], "references": paths[1:]}
            for split, paths in paths_of_splits.items()
            if paths is not None
        }
        return Text(
            **splits,
            source_language=self.source_language,
            target_language=self.target_language,
            normalize=self.style,
            normalize_targets=self.style_headlines,
            on_empty=self._on_empty,
            cache_folder=self._cache,
        ).load()

    def _find(self, split: str) -> list[Path] | None:
        """Return the files of a split, all in one folder and naming scheme; None if missing."""
        for folder in (root / sub for root in self._roots for sub in self.folders):
            for names in self.files[split]:
                paths = [_with_suffix(folder / name) for name in names]
                if all(paths):
                    return [path for path in paths if path is not None]
        return None

    def _missing(self, split: str) -> str:
        looked = " and ".join(str(root.absolute()) for root in self._roots)
        names = " or ".join(" and ".join(names) for names in self.files[split])
        return (
            f"{self.title} is not complete in {looked}: the split {split} lacks its files {names} "
            f"(.txt or .gz). {self.get_it}; set data.root for another folder"
        )


def _with_suffix(path: Path) -> Path | None:
    candidates = (path.with_name(path.name + suffix) for suffix in SUFFIXES)
    return next((candidate for candidate in candidates if candidate.is_file()), None)
