"""Sentence pairs in text files of any format in `readers`: the user's own, or a script's."""

from __future__ import annotations

import glob
import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict

from seq2seq.data.cache import cache_folder as default_cache_folder
from seq2seq.data.cache import content_key, file_key
from seq2seq.data.corpora.corpus import SIDES, reference_columns
from seq2seq.data.corpora.readers import DEFAULT_COLUMNS, NAMED_COLUMNS, reader_for
from seq2seq.data.corpora.tables import (
    TABLE_VERSION,
    PlacedRow,
    cached_table,
    normalized,
)
from seq2seq.system.errors import DataError
from seq2seq.system.untrusted_files import check_readable, shown

Files = str | Path | Sequence[str | Path]
SplitFiles = Files | Mapping[str, Files | None] | None


class Text:
    """Sentence pairs from files.

    A split is `{"source": files, "target": files}`, where line k of the source is translated by
    line k of the target, or files with both sides. Files are a path, a pattern (`train.*.en`), or a
    list of these. The suffix tells the format (.tsv, .csv, .jsonl, .xml; others are plain lines;
    .gz, .bz2, .xz are unpacked). Beside `source` and `target` there may be other columns, such as
    `alignment`.

    Several references per source are a list of files under `references`, with one file or pattern
    per reference. Use them beside `target`, or instead of it; the first reference is then the
    target. The others become the columns `target_2`, `target_3`, … of the split. An empty line
    means that the source has no such reference.

    Args:
        train: files of the training split.
        validation: files of the validation split.
        test: files of the test split.
        tests: other test sets, by name.
        source_language: name of the source language, for reports.
        target_language: name of the target language, for reports.
        format: "text", "tsv", "csv", "jsonl" or "xml" for all files; None: by the suffix.
        quoting: "csv" or "none" for TSV and CSV files; None: detect it, see `separated`.
        source_column: name of the field or in the header, or number of the column from 0.
        target_column: the same for the target.
        reference_columns: the same for each further reference, in files with both sides.
        normalize: rewrites the source of every pair, such as a `GigawordStyle`; its `repr` must
            describe what it does.
        normalize_targets: whether to rewrite targets and references, too.
        on_empty: "error" or "skip", for lines with an empty side.
        root: folder of relative paths; None: the current folder.
        prepare: command that creates the files, for the message if one is missing.
        cache_folder: cache folder for the checked texts; None: the default folder.
    """

    def __init__(
        self,
        train: SplitFiles = None,
        validation: SplitFiles = None,
        test: SplitFiles = None,
        *,
        tests: Mapping[str, SplitFiles] | None = None,
        source_language: str = "source",
        target_language: str = "target",
        format: str | None = None,
        quoting: str | None = None,
        source_column: str | int | None = None,
        target_column: str | int | None = None,
        reference_columns: Sequence[str | int] = (),
        normalize: Callable[[str], str] | None = None,
        normalize_targets: bool = True,
        on_empty: str = "error",
        root: str | Path | None = None,
        prepare: str | None = None,
        cache_folder: str | Path | None = None,
    ) -> None:
        self.source_language, self.target_language = source_language, target_language
        self.next_step = "try another attention: attention=fusedmax"
        self._splits = {"train": train, "validation": validation, "test": test, **(tests or {})}
        self._reader = partial(reader_for, format=format, quoting=quoting)
        self._on_empty = on_empty
        self._columns = (source_column, target_column)
        self._where = (Path(os.path.expanduser(root or "")), prepare)
        self._references = list(reference_columns)
        self._normalize, self._normalize_targets = normalize, normalize_targets
        self._cache = default_cache_folder(cache_folder)

    def load(self) -> DatasetDict:
        """Return the splits, after checking all files.

        Raises:
            DataError: if a file is missing or cannot be used, naming the key.
        """
        splits = {}
        for name, files in self._splits.items():
            try:
                if (split := self._split(files)) is not None:
                    splits[name] = split
            except DataError as error:
                raise DataError(f"data.{name}: {error}") from error
        if "train" not in splits and "test" not in splits:
            raise DataError(
                "no files are set; set data.train.source and data.train.target to files that are "
                "translations of each other, line by line, and data.validation and data.test too"
            )
        return DatasetDict(splits)

    def _split(self, files: SplitFiles) -> Dataset | None:
        split_files = dict(files) if isinstance(files, Mapping) else files
        columns: Sequence[str]
        if isinstance(split_files, dict):
            split_files = _with_references(split_files)
        if not split_files:
            return None
        if isinstance(split_files, dict):
            columns, key, rows = self._parallel(split_files)
        else:
            columns, key, rows = self._combined(split_files)
        key = content_key(TABLE_VERSION, key, list(columns), self._on_empty)
        if self._normalize is not None:
            key = content_key(key, self._normalize, self._normalize_targets)
            rows = normalized(rows, columns, self._normalize, self._normalize_targets)
        names = [*split_files.values()] if isinstance(split_files, dict) else [split_files]
        path = self._cache / "texts" / f"{key}.arrow"
        return cached_table(path, columns, rows, self._on_empty, names)

    def _parallel_rows(
        self,
        paths: Sequence[Path],
        columns: Sequence[str],
        fields: Mapping[str, str | int | None],
    ) -> Iterator[PlacedRow]:
        """Yield the rows of files with one column each.

        Args:
            paths: a file for each column.
            columns: names of the columns.
            fields: for each column the field to read, for files with several fields.
        """
        open_all = []
        for path, column in zip(paths, columns, strict=True):
            reader = self._reader(path)
            place = fields.get(column)
            if place is None:
                place = column if reader in NAMED_COLUMNS else 0
            open_all.append(partial(reader, path, [place]))
        for rows in itertools.zip_longest(*(open_one() for open_one in open_all)):
            if None in rows:
                counts = [
                    f"{path} has {sum(1 for _ in o()):,} lines"
                    for path, o in zip(paths, open_all, strict=True)
                ]
                raise DataError(
                    f"{', '.join(counts)}, but line k of one must translate line k of the other"
                )
            yield rows[0][0], paths, [texts[0] for _, texts in rows]

    @property
    def _combined_columns(self) -> list[str]:
        """Names of the columns of files with both sides."""
        return [*SIDES, *(f"target_{k}" for k in range(2, len(self._references) + 2))]

    def _parallel(self, files: dict[str, Any]) -> tuple[Sequence[str], str, Iterator[PlacedRow]]:
        """Return columns, key and rows of files with one column each."""
        if missing := [column for column in SIDES if column not in files]:
            raise DataError(f"the files of the {missing[0]} side are missing; set .{missing[0]}")
        paths = {column: find_files(value, *self._where) for column, value in files.items()}
        if len({len(paths_of_column) for paths_of_column in paths.values()}) > 1:
            counts = ", ".join(
                f"{len(paths_of_column)} for {column}" for column, paths_of_column in paths.items()
            )
            raise DataError(f"unequal numbers of files: {counts}; they are paired in order")
        tuples = list(zip(*paths.values(), strict=True))
        fields = dict(zip(SIDES, self._columns, strict=True))
        key = content_key([[self._key(path) for path in group] for group in tuples], fields)
        rows = (self._parallel_rows(group, list(paths), fields) for group in tuples)
        return list(paths), key, itertools.chain.from_iterable(rows)

    def _combined(self, files: Files) -> tuple[Sequence[str], str, Iterator[PlacedRow]]:
        """Return columns, key and rows of files with both sides."""
        paths = find_files(files, *self._where)
        key = content_key(
            [self._key(path) for path in paths],
            [*self._columns, *self._references],
        )
        return (
            self._combined_columns,
            key,
            itertools.chain.from_iterable(map(self._combined_rows, paths)),
        )

    def _key(self, path: Path) -> str:
        reader = self._reader(path).__name__
        return f"{file_key(path, self._cache)} {' '.join(path.suffixes[-2:])} {reader}"

    def _combined_rows(self, path: Path) -> Iterator[PlacedRow]:
        reader = self._reader(path)
        if reader not in DEFAULT_COLUMNS:
            raise DataError(
                f"{path} has plain lines, so only one side; set data.<split>.source and "
                "data.<split>.target, or data.format=tsv, csv or jsonl"
            )
        columns = [
            default if column is None else column
            for column, default in zip(self._columns, DEFAULT_COLUMNS[reader], strict=True)
        ]
        columns += self._references
        for number, texts in reader(path, columns):
            yield number, [path] * len(columns), texts


def _with_references(files: Mapping[str, Any]) -> dict[str, Any]:
    """Return the files by column, without None, and with references as separate columns."""
    by_column = {column: value for column, value in files.items() if value is not None}
    references = by_column.pop("references", None)
    if references is None:
        return by_column
    if isinstance(references, str | Path):
        references = [references]
    first = len(reference_columns(by_column)) + 1
    for number, value in enumerate(references, start=first):
        by_column["target" if number == 1 else f"target_{number}"] = value
    return by_column


def find_files(files: Files, root: Path = Path(), prepare: str | None = None) -> list[Path]:
    """Return the files of paths and patterns, in order; those of a pattern are sorted by name.

    Args:
        files: a path, a pattern, or a list of these.
        root: folder of relative paths.
        prepare: command that creates the files, for the message if one is missing.

    Raises:
        DataError: if a file is missing or is a pipe or a device.
    """
    found: list[Path] = []
    for name in [files] if isinstance(files, str | Path) else files:
        pattern = os.path.expanduser(name)
        path = root / pattern
        check_readable(path)
        try:
            is_file = path.is_file()
        except OSError as error:  # for example, the name is too long
            raise DataError(f"{shown(path, 200)} cannot be read: {error.strerror}") from error
        if is_file:
            found.append(path)
            continue
        if name == "-" or (path.exists() and not path.is_dir()):
            kind = "a pipe" if name == "-" or path.is_fifo() else "a device"
            raise DataError(
                f"{name} is {kind}, which can be read only once, but a run reads its corpus again "
                "when it is resumed or evaluated; write the texts to a file"
            )
        # Only the pattern may have wildcards; [ and * in the root are ordinary characters.
        names = sorted(glob.glob(pattern, root_dir=root, recursive=True))
        matches = [root / match for match in names if (root / match).is_file()]
        for match in matches:
            check_readable(match)
        if not matches:
            hint = f". Get the corpus with: {prepare}" if prepare else ""
            raise DataError(_missing(path) + hint)
        found.extend(matches)
    return found


def _missing(path: Path) -> str:
    path = path.absolute()
    if path.is_dir():
        return f"{path} is a folder, not a file; it has: {_listing(path)}"
    folder = next(parent for parent in path.parents if parent.is_dir())
    return f"there is no file {path}; the folder {folder} has: {_listing(folder)}"


def _listing(folder: Path, most: int = 20) -> str:
    names = sorted(entry.name for entry in folder.iterdir())
    return ", ".join(names[:most]) + (", …" if len(names) > most else "") or "nothing"
