"""Encode texts as ids once, in parallel processes, into memory-mapped files."""

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
LEAST = 50_000  # texts that justify another process


def encoded_column(
    split: Dataset,
    column: str,
    subwords: Vocabulary,
    path: Path,
    *,
    processes: int | None = None,
    title: str = "",
) -> Sequences:
    """Return the ids of a column, memory-mapped from `path`; encode it if they are missing.

    Damaged files are encoded again. The ids do not depend on the number of processes, and the files
    of a run with one number of processes serve runs with another.

    Args:
        split: the texts.
        column: name of the column.
        subwords: the vocabulary.
        path: file of the ids; several processes write `…_00000_of_00002.arrow` and so on beside it.
        processes: number of processes; None: one per core, fewer for few texts.
        title: title of the progress bar.
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
    if len(ids) != len(split):  # some of the files of several processes are missing
        tell_damaged(path, f"it has {len(ids):,} of {len(split):,} rows")
        _remove(_files(path))
        ids = mapped()
    for file in _files(path):
        if file not in before:
            sync_file(file)
    return Sequences.from_arrow(ids.data["ids"])


def _files(path: Path) -> list[Path]:
    """Return the files of an entry: one, or one per process."""
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
    """Draw segmentations of a column; they are memory-mapped from a temporary file.

    Args:
        split: the texts.
        column: name of the column.
        subwords: the vocabulary.
        best: the best segmentations; each replaces a drawn one that is longer than the limit.
        seed: seed of the draws.
        limit: largest number of subwords of a text; None: no limit.
        sampling: `alpha` and `nbest` of `Subwords.encode`.
        folder: folder of the file.
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
    with contextlib.suppress(PermissionError):  # Windows does not delete a mapped file
        file.unlink()  # elsewhere its content stays readable as long as it is mapped
    return drawn
