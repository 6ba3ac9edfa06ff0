"""Any parallel set of the Hugging Face hub, and what else `datasets.load_dataset` loads."""

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
from seq2seq.system.errors import DataError

# A local dataset must not reach the network; by default even those are counted at the hub.
datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False


class Hub:
    """Sentence pairs of a dataset of the hub, of a folder, or of a builder such as "json".

    Where a text stands is found by its language: in `translation.de` (a field of a field, or a
    column of that name), or in a column `de`; else in `source` and `target`.

    Args:
        path: what `datasets.load_dataset` takes: a name on the hub, a folder, or a builder.
        name: its configuration, such as "de-en".
        source_language: language code of the source.
        target_language: language code of the target.
        train: split of the dataset to train on, such as "train" or "train[:98%]"; None for none.
        validation: split to validate on.
        test: split to test on.
        source_column: where the source stands, if it is not found by its language.
        target_column: the same for the target.
        reference_columns: where further references stand, if there are any.
        normalize: rewrites sources, targets and references, such as a `GigawordStyle`; what it
            does must be told by its `repr`.
        on_empty: "error" or "skip" pairs where a side is empty.
        streaming: keep only the checked texts on the disk, not the dataset as well; it is read
            through once. A change at the hub is then noticed only where `revision` names it.
        options: further arguments of `load_dataset`, such as `revision` or `data_files`.
        cache_folder: where to keep the checked texts; None for the default place.
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
        """From where the corpus is fetched."""
        return self._path

    def load(self) -> DatasetDict:
        """The splits."""
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
            rows = self._rows(split)  # reads nothing before it is asked for a row
        else:
            data = self._dataset(split)
            identity, rows = [data._fingerprint], self._rows(split, data)
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
        except Exception as error:  # the library raises dozens of kinds
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
        """Where both sides stand, as the first record shows."""
        fields = []
        for side, given in zip(SIDES, self._columns, strict=True):
            language = getattr(self, f"{side}_language")
            nested = record.get("translation")
            names = {*record, *(f"translation.{x}" for x in nested or {})}
            likely = (f"translation.{language}", language, side)
            found = given or next((name for name in likely if name in names), None)
            if found is None:
                raise DataError(
                    f"{place} has none of {', '.join(dict.fromkeys(likely))}; there is: "
                    f"{', '.join(sorted(names))}. Say data.{side}_language= or data.{side}_column="
                )
            fields.append(found)
        return fields + self._references
