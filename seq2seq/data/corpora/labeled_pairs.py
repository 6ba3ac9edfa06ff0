"""Base classes of corpora of sentence pairs with labels, such as premise and hypothesis."""

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
NO_LABEL = "-"  # SNLI and MultiNLI write it if the annotators did not agree


@dataclass(frozen=True)
class LabeledFiles:
    """The files of a split, and which columns to read.

    Attributes:
        paths: the files, in order.
        reader: the reader of all files.
        columns: columns of label, premise and hypothesis, by name or by number.
        only: for files with several splits: another column and the text it must have.
    """

    paths: Sequence[Path]
    reader: Reader
    columns: tuple[str | int, str | int, str | int]
    only: tuple[str | int, str] | None = None


class LabeledPairs(ABC):
    """A corpus whose splits have the columns `label`, `source` (premise), `target` (hypothesis).

    Pairs that are marked as having no label are dropped and counted.

    Args:
        no_label: text that marks a pair without a label; None: every text is a label.
        on_empty: "error" or "skip", for lines with an empty sentence.
        cache_folder: cache folder for the checked texts; None: the default folder.

    Attributes:
        unlabeled: after `load`, how many pairs of each split were dropped without a label.
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
        """Return the files of every existing split.

        Raises:
            DataError: if there is no file.
        """

    def load(self) -> DatasetDict:
        """Return the existing splits, after checking all files.

        Raises:
            DataError: if a file cannot be used, naming the split.
        """
        splits = {}
        for name, files in self.files().items():
            try:
                splits[name], self.unlabeled[name] = self._split(files)
            except DataError as error:
                raise DataError(f"data, split {name}: {error}") from error
            if left_out := self.unlabeled[name]:
                logger.info(
                    "%s of %s pairs of the split %s have no label (%s) and are dropped",
                    f"{left_out:,}",
                    f"{left_out + len(splits[name]):,}",
                    name,
                    self._no_label,
                )
        return DatasetDict(splits)

    def _split(self, files: LabeledFiles) -> tuple[Dataset, int]:
        """Return the pairs with a label, and the number of pairs without."""
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
                    f"line {number:,} of {files[0]} has no label; if that is intended, write "
                    f"{self._no_label or NO_LABEL!r} there to drop the pair"
                )
            else:
                yield number, files, [label, premise, hypothesis]


@dataclass
class _Counter:
    count: int = 0
    read: bool = False


def _rows(files: LabeledFiles) -> Iterator[PlacedRow]:
    """Yield line number, file of each column, and label, premise, hypothesis."""
    columns = [*files.columns, *([files.only[0]] if files.only else [])]
    for path in files.paths:
        for number, (label, premise, hypothesis, *rest) in files.reader(path, columns):
            if not rest or (files.only and rest[0].strip() == files.only[1]):
                yield number, [path] * 3, [label, premise, hypothesis]


@dataclass(frozen=True)
class Layout:
    """A layout of a corpus: names of files, and their columns.

    Attributes:
        name: name of a file, with `{}` for the split's name if each split has a file.
        reader: reader of the file.
        columns: columns of label, premise and hypothesis.
        splits: for each split its name in the file's name or in the column `split_column`.
        split_column: column with the name of the split, if one file has all splits; else None.
    """

    name: str
    reader: Reader
    columns: tuple[str | int, str | int, str | int]
    splits: Mapping[str, str]
    split_column: str | int | None = None


class FolderOfPairs(LabeledPairs):
    """A published corpus in a local folder, in one of several layouts; splits may be missing.

    Args:
        root: folder with the files; None: `data/<name>`, or `<name>` in the cache folder.
        cache_folder: cache folder for the checked texts; None: the default folder.
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
        """See the base class; uses the first layout that has a file."""
        for root in self._roots:
            for folder in self.folders:
                for layout in self.layouts:
                    if files := self._files_of(root / folder, layout):
                        return files
        looked = " and ".join(str(root.absolute()) for root in self._roots)
        first = self.layouts[0]
        names = dict.fromkeys(first.name.format(split) for split in first.splits.values())
        raise DataError(
            f"there is no file of {self.name} in {looked}, such as {', '.join(names)}. "
            f"{self.source}; set data.root for another folder"
        )

    def _files_of(self, folder: Path, layout: Layout) -> dict[str, LabeledFiles]:
        files = {}
        for split, written in layout.splits.items():
            name = layout.name.format(written)
            only = None if layout.split_column is None else (layout.split_column, written)
            path = next((p for s in self.suffixes if (p := folder / f"{name}{s}").is_file()), None)
            if path is not None:
                files[split] = LabeledFiles([path], layout.reader, layout.columns, only)
        return files
