"""Splits of anything that `datasets.load_dataset` loads: hub datasets, local dataset folders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import datasets

from seq2seq.data.cache import content_key
from seq2seq.data.corpora.readers import pick
from seq2seq.data.corpora.tables import PlacedRow
from seq2seq.data.errors import DataError

# A local dataset must not reach the network; by default even those are counted at the hub.
datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False


def hub_split(
    dataset: str,
    name: str | None,
    split: str,
    fields: Sequence[str | int],
    options: Mapping[str, Any],
) -> tuple[str, Iterator[PlacedRow]]:
    """The key of a split's content, and its rows.

    Args:
        dataset: name on the hub, path of a folder, or name of a builder such as "json".
        name: configuration of the dataset, such as "de-en".
        split: split of the dataset, such as "train" or "train[:99%]".
        fields: of source, target and further references, such as "translation.de".
        options: further arguments of `load_dataset`.
    """
    place = f"{dataset}{f' ({name})' if name else ''}"
    try:
        data = datasets.load_dataset(dataset, name, split=split, **options)
    except Exception as error:  # the library raises dozens of kinds
        raise DataError(f"datasets cannot load {split!r} of {place}: {error}") from error
    key = content_key(data._fingerprint, list(fields))

    def rows() -> Iterator[PlacedRow]:
        where = [f"{split} of {place}"] * len(fields)
        for number, record in enumerate(data, start=1):
            line = f"line {number:,} of {where[0]}"
            yield number, where, [pick(record, str(field), line) for field in fields]

    return key, rows()
