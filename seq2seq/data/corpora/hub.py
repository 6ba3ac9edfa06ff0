"""Datasets of the Hugging Face hub, and everything else that `datasets.load_dataset` loads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
from datasets import DatasetDict

from seq2seq.data.cache import cache_folder as default_cache_folder
from seq2seq.data.cache import content_key
from seq2seq.data.corpora.corpus import SIDES
from seq2seq.data.corpora.readers import pick
from seq2seq.data.corpora.tables import (
    TABLE_VERSION,
    PlacedRow,
    cached_table,
    normalized,
)
from seq2seq.data.datasets_internals import fingerprint
from seq2seq.system.errors import DataError

# By default, `datasets` reports the use of local datasets to the hub, but a local dataset must not
# use the network.
datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False


class Hub:
    """Sentence pairs of a dataset of the hub, of a folder, or of a builder such as "json".

    The columns are found by the languages: `translation.de` (a nested field, or a column of that
    name), else a column `de`, else `source` and `target`.

    Args:
        path: argument of `datasets.load_dataset`: a name on the hub, a folder, or a builder.
        name: configuration of the dataset, such as "de-en".
        source_language: language code of the source.
        target_language: language code of the target.
        train: split for training, such as "train" or "train[:98%]"; None: no such split.
        validation: split for validation.
        test: split for the test.
        source_column: column of the source, if it is not found by the language.
        target_column: the same for the target.
        reference_columns: columns of further references.
        normalize: rewrites sources, targets and references, such as a `GigawordStyle`; its `repr`
            must describe what it does.
        on_empty: "error" or "skip", for pairs with an empty side.
        streaming: read the dataset once, and store only the checked texts on the disk. A change on
            the hub is then noticed only if `revision` changes.
        options: other arguments of `load_dataset`, such as `revision` or `data_files`.
        cache_folder: cache folder for the checked texts; None: the default folder.
    """

    def __init__(
        self,
        path: str,
        name: str | None = None,
        source_language: str = "source",
        target_language: str = "target",
        *,
        train: str | None = "train",
        validation: str | None = "validation",
        test: str | None = "test",
        source_column: str | None = None,
        target_column: str | None = None,
        reference_columns: Sequence[str] = (),
        normalize: Callable[[str], str] | None = None,
        on_empty: str = "error",
        streaming: bool = False,
        options: Mapping[str, Any] | None = None,
        cache_folder: str | Path | None = None,
    ) -> None:
        self.source_language, self.target_language = source_language, target_language
        self.next_step = "try another attention: attention=fusedmax"
        self._path, self._name, self._options = path, name, dict(options or {})
        self._splits = {"train": train, "validation": validation, "test": test}
        self._columns = (source_column, target_column)
        self._references, self._normalize = list(reference_columns), normalize
        self._on_empty, self._streaming = on_empty, streaming
        self._cache = default_cache_folder(cache_folder)

    @property
    def fetched(self) -> str:
        """Name, folder or builder from which the corpus is fetched."""
        return self._path

    def load(self) -> DatasetDict:
        """Return the splits.

        Raises:
            DataError: if a split cannot be loaded, naming its key.
        """
        splits = {}
        for name, split in self._splits.items():
            if split is not None:
                try:
                    splits[name] = self._split(split)
                except DataError as error:
                    raise DataError(f"data.{name}: {error}") from error
        return DatasetDict(splits)

    def _split(self, split: str) -> datasets.Dataset:
        if self._streaming:
            identity = [self._path, self._name, split, sorted(self._options.items())]
            rows = self._rows(split)  # a generator, so it reads nothing yet
        else:
            data = self._dataset(split)
            identity, rows = [fingerprint(data)], self._rows(split, data)
        where = [self._columns, self._references, self.source_language, self.target_language]
        key = content_key(TABLE_VERSION, identity, where, self._on_empty)
        further = [f"target_{k}" for k in range(2, len(self._references) + 2)]
        columns = [*SIDES, *further]
        if self._normalize is not None:
            key = content_key(key, self._normalize)
            rows = normalized(rows, columns, self._normalize)
        path = self._cache / "texts" / f"{key}.arrow"
        return cached_table(path, columns, rows, self._on_empty)

    def _dataset(self, split: str) -> Any:
        place = f"{self._path}{f' ({self._name})' if self._name else ''}"
        try:
            return datasets.load_dataset(
                self._path, self._name, split=split, streaming=self._streaming, **self._options
            )
        except Exception as error:  # the library raises dozens of types
            raise DataError(f"datasets cannot load {split!r} of {place}: {error}") from error

    def _rows(self, split: str, data: Any = None) -> Iterator[PlacedRow]:
        data = self._dataset(split) if data is None else data
        where = [f"{split} of {self._path}"] * (2 + len(self._references))
        fields: list[str] = []
        number = 0
        for block in data.iter(batch_size=1000):
            for values in zip(*block.values(), strict=True):
                number += 1
                record = dict(zip(block, values, strict=True))
                fields = fields or self._fields(record, where[0])
                line = f"line {number:,} of {where[0]}"
                yield number, where, [pick(record, field, line) for field in fields]

    def _fields(self, record: Mapping[str, Any], place: str) -> list[str]:
        """Return the fields of both sides and the references; detect them in the first record."""
        fields = []
        for side, column in zip(SIDES, self._columns, strict=True):
            language = getattr(self, f"{side}_language")
            nested = record.get("translation")
            names = {*record, *(f"translation.{x}" for x in nested or {})}
            likely = (f"translation.{language}", language, side)
            field = column or next((name for name in likely if name in names), None)
            if field is None:
                raise DataError(
                    f"{place} has none of {', '.join(dict.fromkeys(likely))}; it has: "
                    f"{', '.join(sorted(names))}. Set data.{side}_language or data.{side}_column"
                )
            fields.append(field)
        return fields + self._references
