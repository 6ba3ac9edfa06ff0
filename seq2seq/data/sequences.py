"""Encoded sentences: the ids of a split in flat arrays, padded one batch at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seq2seq.data.batch import PAD_ID, Batch

if TYPE_CHECKING:
    import pyarrow as pa


class Sequences:
    """Many sequences of ids, in chunks of flat arrays, which may be memory-mapped.

    There are no Python objects per sequence, only a few per chunk, so that a mapped corpus of any
    size takes little memory.

    Args:
        values: for each chunk the ids of its sequences, one after the other, int32.
        offsets: for each chunk the start of each sequence and the end of the last, int32 or int64.
    """

    def __init__(
        self, values: Sequence[NDArray[np.int32]], offsets: Sequence[NDArray[np.integer[Any]]]
    ) -> None:
        self._values, self._offsets = list(values), list(offsets)
        self._first_rows = np.cumsum([0, *(len(o) - 1 for o in offsets)])

    @classmethod
    def from_arrow(cls, column: pa.ChunkedArray) -> Sequences:
        """Wrap an Arrow column of lists of int32 without copying."""
        chunks = [chunk for chunk in column.chunks if len(chunk)]
        return cls(
            [chunk.values.to_numpy(zero_copy_only=True) for chunk in chunks],
            [chunk.offsets.to_numpy(zero_copy_only=True) for chunk in chunks],
        )

    @classmethod
    def from_arrays(cls, arrays: Iterable[NDArray[np.int32]]) -> Sequences:
        """Concatenate arrays in memory."""
        arrays = list(arrays)
        flat = np.concatenate([np.zeros(0, np.int32), *arrays])
        return cls([flat], [np.cumsum([0, *map(len, arrays)], dtype=np.int64)])

    def __len__(self) -> int:
        return int(self._first_rows[-1])

    def __getitem__(self, row: int) -> NDArray[np.int32]:
        return self._some(np.array([row]))[0]

    @property
    def lengths(self) -> NDArray[np.int32]:
        """Length of each sequence; each access computes a new array."""
        lengths = np.empty(len(self), np.int32)
        for first, offsets in zip(self._first_rows, self._offsets, strict=False):
            np.subtract(
                offsets[1:], offsets[:-1], out=lengths[first : first + len(offsets) - 1],
                casting="same_kind",
            )  # fmt: skip
        return lengths

    def padded(
        self, rows: NDArray[np.integer[Any]], before: Sequence[int] = (), after: Sequence[int] = ()
    ) -> tuple[Tensor, Tensor]:
        """Return the sequences of some rows, with ids added before and after each, and padding.

        Returns:
            ids [len(rows), longest] int64 and lengths [len(rows)] int64.
        """
        sequences = self._some(rows)
        extra = len(before) + len(after)
        lengths = np.array([len(sequence) for sequence in sequences], np.int64) + extra
        ids = np.full((len(rows), int(lengths.max())), PAD_ID, dtype=np.int64)
        columns = np.arange(ids.shape[1])
        inner = (columns >= len(before)) & (columns < (lengths - len(after))[:, None])
        ids[inner] = np.concatenate(sequences)
        ids[:, : len(before)] = before
        for k, token in enumerate(after):
            ids[np.arange(len(rows)), lengths - len(after) + k] = token
        return torch.from_numpy(ids), torch.from_numpy(lengths)

    def _some(self, rows: NDArray[np.integer[Any]]) -> list[NDArray[np.int32]]:
        chunks = np.searchsorted(self._first_rows, rows, side="right") - 1
        places = rows - self._first_rows[chunks]
        sequences = []
        for chunk, place in zip(chunks.tolist(), places.tolist(), strict=True):
            start, stop = self._offsets[chunk][place : place + 2]
            sequences.append(self._values[chunk][start:stop])
        return sequences


def collate(
    source: Sequences, target: Sequences, rows: NDArray[np.integer[Any]], *, bos: int, eos: int
) -> Batch:
    """Return the batch of some rows of a split."""
    source_ids, source_lengths = source.padded(rows, after=[eos])
    target_ids, target_lengths = target.padded(rows, before=[bos], after=[eos])
    indices = torch.from_numpy(rows.astype(np.int64))
    return Batch(source_ids, target_ids, source_lengths, target_lengths, indices)
