"""Pairs of sentences with a label, such as premise and hypothesis: from files to splits."""

from __future__ import annotations

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from datasets import Dataset, DatasetDict

from seq2seq.data.cache import cache_folder as default_cache_folder
from seq2seq.data.cache import content_key, file_key, tell_damaged
from seq2seq.data.corpora.corpus import likely_folders
from seq2seq.data.corpora.readers import Reader
from seq2seq.data.corpora.tables import TABLE_VERSION, PlacedRow, cached_table
from seq2seq.system.atomic_writing import write_atomically
from seq2seq.system.errors import DataError

logger = logging.getLogger(__name__)

COLUMNS = ("label", "source", "target")
NO_LABEL = "-"  # how SNLI and MultiNLI mark pairs on which the annotators did not agree


@dataclass(frozen=True)
class LabeledFiles:
    """The files of a split and where in them the columns stand.

    Attributes:
        paths: read one after the other.
        reader: of all of them.
        columns: of label, premise and hypothesis, by name or by number.
        only: a further column and the text it must hold, for files that hold several splits.
    """

    paths: Sequence[Path]
    reader: Reader
    columns: tuple[str | int, str | int, str | int]
    only: tuple[str | int, str] | None = None


class LabeledPairs(ABC):
    """A corpus whose splits have the columns `label`, `source` (premise), `target` (hypothesis).

    Pairs that are marked as having no label are left out, and counted.

    Args:
        no_label: the text that stands where a pair has no label; None: every text is a label.
        on_empty: "error" or "skip" lines where a sentence is empty.
        cache_folder: where to keep the checked texts; None for the default place.

    Attributes:
        unlabeled: after `load`, how many pairs of each split were left out for want of a label.
    """

    source_language = "premise"
    target_language = "hypothesis"
    next_step = "another attention: attention=fusedmax"

    def __init__(
        self,
        *,
        no_label: str | None = NO_LABEL,
        on_empty: str = "skip",
        cache_folder: str | Path | None = None,
    ) -> None:
        self._no_label, self._on_empty = no_label, on_empty
        self._cache = default_cache_folder(cache_folder)
        self.unlabeled: dict[str, int] = {}

    @abstractmethod
    def files(self) -> dict[str, LabeledFiles]:
        """The files of every split that is there.

        Raises:
            DataError: if there is none.
        """

    def load(self) -> DatasetDict:
        """The splits that are there; all files are checked before anything else happens."""
        splits = {}
        for name, files in self.files().items():
            try:
                splits[name], self.unlabeled[name] = self._split(files)
            except DataError as error:
                raise DataError(f"data, split {name}: {error}") from error
            if left_out := self.unlabeled[name]:
                logger.info(
                    "%s of %s pairs of the split %s have no label (%s) and are left out",
                    f"{left_out:,}",
                    f"{left_out + len(splits[name]):,}",
                    name,
                    self._no_label,
                )
        return DatasetDict(splits)

    def _split(self, files: LabeledFiles) -> tuple[Dataset, int]:
        """The pairs with a label, and the number of those without."""
        key = content_key(
            TABLE_VERSION,
            [file_key(path, self._cache) for path in files.paths],
            files.reader.__name__,
            [*files.columns, files.only, self._no_label, self._on_empty],
        )
        path = self._cache / "texts" / f"{key}.arrow"
        count = path.with_suffix(".left_out")
        known = count.read_bytes() if count.is_file() else b""
        if not re.fullmatch(rb"\d{1,12}\n", known):
            if count.is_file():
                tell_damaged(count)
            path.unlink(missing_ok=True)
        left_out = _Counter()
        rows = self._labeled(_rows(files), left_out)
        table = cached_table(path, COLUMNS, rows, self._on_empty)
        if left_out.read:
            write_atomically(count, f"{left_out.count}\n".encode())
        return table, int(count.read_bytes())

    def _labeled(self, rows: Iterable[PlacedRow], left_out: _Counter) -> Iterator[PlacedRow]:
        left_out.read = True
        for number, files, (label, premise, hypothesis) in rows:
            label = label.strip()
            if label == self._no_label or (not label and self._on_empty == "skip"):
                left_out.count += 1
            elif not label:
                raise DataError(
                    f"line {number:,} of {files[0]} has no label; where that is meant, write "
                    f"{self._no_label or NO_LABEL!r} there, and the pair is left out"
                )
            else:
                yield number, files, [label, premise, hypothesis]


@dataclass
class _Counter:
    count: int = 0
    read: bool = False


def _rows(files: LabeledFiles) -> Iterator[PlacedRow]:
    """Line number, file of each column, and label, premise, hypothesis."""
    columns = [*files.columns, *([files.only[0]] if files.only else [])]
    for path in files.paths:
        for number, (label, premise, hypothesis, *rest) in files.reader(path, columns):
            if not rest or (files.only and rest[0].strip() == files.only[1]):
                yield number, [path] * 3, [label, premise, hypothesis]


@dataclass(frozen=True)
class Layout:
    """One way in which a corpus is laid out: names of files, and what is in them.

    Attributes:
        name: of a file; `{}` stands for the split's name, where each split has a file.
        reader: of the file.
        columns: of label, premise and hypothesis.
        splits: the name of each split, in the file's name or in the column `split_column`.
        split_column: where one file holds all splits.
    """

    name: str
    reader: Reader
    columns: tuple[str | int, str | int, str | int]
    splits: Mapping[str, str]
    split_column: str | int | None = None


class FolderOfPairs(LabeledPairs):
    """A published corpus in a local folder, in any of its layouts; further splits may be absent.

    Args:
        root: folder with the files; None for `data/<name>` here, or in the cache folder.
        cache_folder: where to keep the checked texts; None for the default place.
    """

    name: ClassVar[str]
    layouts: ClassVar[Sequence[Layout]]
    folders: ClassVar[Sequence[str]] = (".",)
    suffixes: ClassVar[Sequence[str]] = ("", ".gz")
    source: ClassVar[str]

    def __init__(
        self, root: str | Path | None = None, *, cache_folder: str | Path | None = None
    ) -> None:
        super().__init__(cache_folder=cache_folder)
        self._roots = likely_folders(self.name, root, cache_folder)

    def files(self) -> dict[str, LabeledFiles]:
        """The splits of the first layout of which there is a file."""
        for root in self._roots:
            for folder in self.folders:
                for layout in self.layouts:
                    if found := self._found(root / folder, layout):
                        return found
        looked = " and ".join(str(root.absolute()) for root in self._roots)
        first = self.layouts[0]
        names = dict.fromkeys(first.name.format(split) for split in first.splits.values())
        raise DataError(
            f"there is no file of {self.name} in {looked}, such as {', '.join(names)}. "
            f"{self.source}; data.root= names another folder"
        )

    def _found(self, folder: Path, layout: Layout) -> dict[str, LabeledFiles]:
        found = {}
        for split, written in layout.splits.items():
            name = layout.name.format(written)
            only = None if layout.split_column is None else (layout.split_column, written)
            path = next((p for s in self.suffixes if (p := folder / f"{name}{s}").is_file()), None)
            if path is not None:
                found[split] = LabeledFiles([path], layout.reader, layout.columns, only)
        return found
