"""The user's own pairs of sentences with labels: TSV or JSON lines."""

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
"""Where label, premise and hypothesis are in a file."""


class Nli(LabeledPairs):
    """Premises and hypotheses with their labels, from files of the user.

    Files are a path, a pattern (`train.*.tsv`), or a list of them. Formats go by the suffix (.tsv,
    .csv, .jsonl; .gz, .bz2, .xz are unpacked). Without names of columns, a TSV has label, premise,
    hypothesis and no header; the header of a CSV, or a JSON object, has these names.

    Args:
        train: files of the training split.
        validation: files of the validation split.
        test: files of the test split.
        tests: further test sets by name.
        format: "tsv", "csv" or "jsonl" for all files, None to go by the suffix.
        quoting: "csv" or "none" for TSV and CSV files, None to find out; see `separated`.
        label_column: name of the field, name in the first line of the TSV, or number from 0.
        premise_column: the same for the premise.
        hypothesis_column: the same for the hypothesis.
        no_label: the text that stands where a pair has no label; such pairs are left out.
        on_empty: "error" or "skip" lines where a sentence is empty.
        cache_folder: where to keep the checked texts; None for the default place.
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
        """The files that were given."""
        found = {name: self._files(name, files) for name, files in self._given.items() if files}
        if not found:
            raise DataError(
                "no corpus is given: set data.train, data.validation and data.test to files with "
                "a label, a premise and a hypothesis a line"
            )
        return found

    def _files(self, name: str, files: Files) -> LabeledFiles:
        if isinstance(files, Mapping):
            raise DataError(f"data.{name} takes files that hold label, premise and hypothesis")
        try:
            paths = find_files(files)
        except DataError as error:
            raise DataError(f"data.{name}: {error}") from error
        readers = {reader_for(path, self._format, self._quoting) for path in paths}
        if len(readers) > 1 or not readers <= DEFAULT_COLUMNS.keys():
            raise DataError(
                f"data.{name}: {', '.join(map(str, paths))} are to be all TSV, all CSV or all "
                "JSON lines; where the names do not end so, set data.format=tsv, csv or jsonl"
            )
        (reader,) = readers
        label, premise, hypothesis = (
            default if given is None else given
            for given, default in zip(self._columns, DEFAULT_COLUMNS[reader], strict=True)
        )
        return LabeledFiles(paths, reader, (label, premise, hypothesis))
