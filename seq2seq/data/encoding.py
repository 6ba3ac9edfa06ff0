"""From texts to ids: in parallel processes, once, into memory-mapped files."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset
from numpy.typing import NDArray

from seq2seq.data.cache import open_table, tell_damaged
from seq2seq.data.sequences import Sequences
from seq2seq.data.subwords import seed_sampling
from seq2seq.data.vocabulary import Vocabulary
from seq2seq.system.atomic_writing import sync_file

BATCH = 10_000  # texts at a time
LEAST = 50_000  # texts for which another process pays


def encoded_column(
    split: Dataset,
    column: str,
    subwords: Vocabulary,
    path: Path,
    *,
    processes: int | None = None,
    title: str = "",
) -> Sequences:
    """The ids of a column, memory-mapped from `path`; made if they are not there (or are damaged).

    The ids are the same for any number of processes, and those that one number made serve others.

    Args:
        split: the texts.
        column: which of them.
        subwords: the vocabulary.
        path: of the ids; several processes write `…_00000_of_00002.arrow` and so on beside it.
        processes: that encode; None for one a core, as far as there are texts enough for them.
        title: of the progress bar.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if processes is None:
        processes = min(_cores(), len(split) // LEAST)

    def mapped() -> Dataset:
        return (
            split.select_columns([column])
            .with_format("arrow")
            .map(
                _encode,
                batched=True,
                batch_size=BATCH,
                writer_batch_size=BATCH,
                remove_columns=[column],
                fn_kwargs={"column": column, "subwords": subwords},
                num_proc=processes if processes > 1 else None,
                cache_file_name=str(path),
                load_from_cache_file=True,
                new_fingerprint=path.stem,
                desc=title,
            )
        )

    before = _files(path)
    if any(open_table(file) is None for file in before):
        _remove(before)
        before = []
    ids = mapped()
    if len(ids) != len(split):  # of several files that processes wrote, some are missing
        tell_damaged(path, f"it has {len(ids):,} of {len(split):,} rows")
        _remove(_files(path))
        ids = mapped()
    for file in _files(path):
        if file not in before:
            sync_file(file)
    return Sequences.from_arrow(ids.data["ids"])


def _files(path: Path) -> list[Path]:
    """The files of an entry: one, or one a process."""
    return sorted(path.parent.glob(f"{path.stem}*{path.suffix}"))


def _remove(files: Iterable[Path]) -> None:
    for file in files:
        file.unlink()


def _encode(table: pa.Table, column: str, subwords: Vocabulary) -> pa.Table:
    return pa.table({"ids": _lists(subwords.encode_batch(table[column].to_pylist()))})


def _lists(ids: list[NDArray[np.int32]]) -> pa.ListArray:
    offsets = np.cumsum([0, *map(len, ids)], dtype=np.int32)
    return pa.ListArray.from_arrays(offsets, np.concatenate([np.zeros(0, np.int32), *ids]))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def drawn_column(
    split: Dataset,
    column: str,
    subwords: Vocabulary,
    best: Sequences,
    *,
    seed: Iterable[int],
    limit: int | None,
    sampling: dict[str, Any],
    folder: Path,
) -> Sequences:
    """Segmentations drawn for a column, memory-mapped from a file that is gone with them.

    Args:
        split: the texts.
        column: which of them.
        subwords: the vocabulary.
        best: the best segmentations, which stand in where a drawn one passes the limit.
        seed: of the drawing; the same seed draws the same.
        limit: most subwords of a text, None for any number.
        sampling: `alpha` and `nbest` of `Subwords.encode`.
        folder: for the file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{uuid.uuid4().hex}.arrow"
    schema = pa.schema([("ids", pa.list_(pa.int32()))])
    blocks = split.select_columns([column]).with_format("arrow").iter(batch_size=BATCH)
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        first = 0
        for number, block in enumerate(blocks):
            seed_sampling([*seed, number])
            ids = subwords.encode_batch(block[column].to_pylist(), sample=True, **sampling)
            ids = [
                x if limit is None or len(x) <= limit else best[first + row]
                for row, x in enumerate(ids)
            ]
            writer.write_batch(pa.record_batch([_lists(ids)], schema))
            first += len(ids)
    drawn = Sequences.from_arrow(Dataset.from_file(str(file)).data["ids"])
    with contextlib.suppress(PermissionError):  # Windows keeps what is mapped
        file.unlink()  # what is mapped stays until nobody maps it
    return drawn
