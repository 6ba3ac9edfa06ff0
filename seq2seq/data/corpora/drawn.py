"""Cache of generated corpora."""

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
GENERATORS = Path(__file__).parent  # the source code here determines the generated texts


def kept(
    corpus: object,
    draw: Callable[[], Mapping[str, Sequence[Mapping[str, str]]]],
    folder: str | Path | None = None,
) -> DatasetDict:
    """Return the splits of a generated corpus, from the cache if it has them.

    The cache key consists of the class, its arguments, and the source code of all generators. So a
    corpus is generated again after a change of a grammar.

    Args:
        corpus: the generator. Its texts may depend only on its public attributes, which the key
            contains as their `repr`.
        draw: function that returns the rows of the three splits, by name.
        folder: the cache folder; None: the default folder.
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
    except OSError:  # the cache is read-only or full, so the next run generates the corpus again
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
    return content_key(sys.version_info[:2], *sources)  # Python's `random` may differ by version
