"""The user's own sentence pairs with labels: TSV, CSV or JSON lines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from seq2seq.data.corpora.labeled_pairs import NO_LABEL, LabeledFiles, LabeledPairs
from seq2seq.data.corpora.readers import DEFAULT_COLUMNS as SIDES_OF
from seq2seq.data.corpora.readers import Reader, reader_for
from seq2seq.data.corpora.text import Files, find_files
from seq2seq.system.errors import DataError

NAMES = ("label", "premise", "hypothesis")
DEFAULT_COLUMNS: dict[Reader, tuple[str | int, str | int, str | int]] = {
    reader: (0, 1, 2) if columns == (0, 1) else NAMES for reader, columns in SIDES_OF.items()
}
"""Default columns of label, premise and hypothesis."""


class Nli(LabeledPairs):
    """Premises and hypotheses with labels, from the user's files.

    Files are a path, a pattern (`train.*.tsv`), or a list of these. The suffix tells the format
    (.tsv, .csv, .jsonl; .gz, .bz2, .xz are unpacked). By default, a TSV has the columns label,
    premise, hypothesis and no header; the header of a CSV, or a JSON object, has these names.

    Args:
        train: files of the training split.
        validation: files of the validation split.
        test: files of the test split.
        tests: other test sets, by name.
        format: "tsv", "csv" or "jsonl" for all files; None: by the suffix.
        quoting: "csv" or "none" for TSV and CSV files; None: detect it, see `separated`.
        label_column: name of the field or in the header, or number of the column from 0.
        premise_column: the same for the premise.
        hypothesis_column: the same for the hypothesis.
        no_label: text that marks a pair without a label, which is dropped.
        on_empty: "error" or "skip", for lines with an empty sentence.
        cache_folder: cache folder for the checked texts; None: the default folder.
    """

    def __init__(
        self,
        train: Files | None = None,
        validation: Files | None = None,
        test: Files | None = None,
        *,
        tests: Mapping[str, Files] | None = None,
        format: str | None = None,
        quoting: str | None = None,
        label_column: str | int | None = None,
        premise_column: str | int | None = None,
        hypothesis_column: str | int | None = None,
        no_label: str | None = NO_LABEL,
        on_empty: str = "error",
        cache_folder: str | Path | None = None,
    ) -> None:
        super().__init__(no_label=no_label, on_empty=on_empty, cache_folder=cache_folder)
        self._given = {"train": train, "validation": validation, "test": test, **(tests or {})}
        self._format, self._quoting = format, quoting
        self._columns = (label_column, premise_column, hypothesis_column)

    def files(self) -> dict[str, LabeledFiles]:
        """See the base class."""
        found = {name: self._files(name, files) for name, files in self._given.items() if files}
        if not found:
            raise DataError(
                "no files are set; set data.train, data.validation and data.test to files with a "
                "label, a premise and a hypothesis per line"
            )
        return found

    def _files(self, name: str, files: Files) -> LabeledFiles:
        if isinstance(files, Mapping):
            raise DataError(f"data.{name} must be files with label, premise and hypothesis")
        try:
            paths = find_files(files)
        except DataError as error:
            raise DataError(f"data.{name}: {error}") from error
        readers = {reader_for(path, self._format, self._quoting) for path in paths}
        if len(readers) > 1 or not readers <= DEFAULT_COLUMNS.keys():
            raise DataError(
                f"data.{name}: {', '.join(map(str, paths))} must be all TSV, all CSV or all JSON "
                "lines; if their suffixes do not tell, set data.format=tsv, csv or jsonl"
            )
        (reader,) = readers
        label, premise, hypothesis = (
            default if column is None else column
            for column, default in zip(self._columns, DEFAULT_COLUMNS[reader], strict=True)
        )
        return LabeledFiles(paths, reader, (label, premise, hypothesis))
