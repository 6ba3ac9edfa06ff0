"""Corpora that a program draws: drawn once, read from the cache from then on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset, DatasetDict

from seq2seq.data.cache import cache_folder, content_key, open_table
from seq2seq.system.atomic_writing import replacing

SPLITS = ("train", "validation", "test")
GENERATORS = Path(__file__).parent  # whose source decides what is drawn


def kept(
    corpus: object,
    draw: Callable[[], Mapping[str, Sequence[Mapping[str, str]]]],
    folder: str | Path | None = None,
) -> DatasetDict:
    """The splits of a generated corpus, drawn where the cache does not have them yet.

    An entry is named by the class, its arguments as the object holds them, and the source of all
    generators, so that a change in a grammar draws anew.

    Args:
        corpus: the generator; its public attributes, as their `repr` tells them, are all that the
            texts depend on.
        draw: makes the rows of the three splits, by name.
        folder: of the cache; None for the default place.
    """
    kind = type(corpus)
    arguments = sorted(item for item in vars(corpus).items() if not item[0].startswith("_"))
    key = content_key(f"{kind.__module__}.{kind.__qualname__}", arguments, _source_key())
    place = cache_folder(folder) / "texts"
    paths = {split: place / f"{key}.{split}.arrow" for split in SPLITS}
    known = {split: open_table(paths[split]) for split in SPLITS}
    if None not in known.values():
        return DatasetDict(known)
    made = {split: Dataset.from_list([*rows]) for split, rows in draw().items()}
    try:
        for split, path in paths.items():
            _write(made[split], path)
    except OSError:  # no place to write to, or a full one: drawn again the next time
        return DatasetDict({split: made[split] for split in SPLITS})
    return DatasetDict({split: Dataset.from_file(str(paths[split])) for split in SPLITS})


def _write(rows: Dataset, path: Path) -> None:
    table = rows.data.table
    with (
        replacing(path) as temporary,
        pa.OSFile(str(temporary), "wb") as file,
        pa.ipc.new_stream(file, table.schema) as writer,
    ):
        writer.write_table(table)


@cache
def _source_key() -> str:
    sources: list[Any] = [path.read_bytes() for path in sorted(GENERATORS.rglob("*.py"))]
    return content_key(sys.version_info[:2], *sources)  # the draws are those of Python's `random`
