"""Encoded sentences: ids of a whole split in flat arrays, gathered and padded a batch at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from seq2seq.data.batch import PAD_ID, Batch


class Sequences:
    """Many id sequences, in chunks of flat ids which may be memory-mapped.

    Args:
        values: the ids of each chunk, one sequence after the other, int32.
        offsets: for each chunk where its sequences begin, and where the last ends, int64.
    """

    def __init__(
        self, values: Sequence[NDArray[np.int32]], offsets: Sequence[NDArray[np.int64]]
    ) -> None:
        self._values = list(values)
        self._starts = np.concatenate([np.zeros(0, np.int64), *(o[:-1] for o in offsets)])
        self._first_rows = np.cumsum([0, *(len(o) - 1 for o in offsets)])
        self.lengths: NDArray[np.int64] = np.concatenate(
            [np.zeros(0, np.int64), *(np.diff(o) for o in offsets)]
        )

    @classmethod
    def from_arrow(cls, column: pa.ChunkedArray) -> Sequences:
        """A view of an Arrow column of lists of int32; the ids stay where they are."""
        chunks = [chunk for chunk in column.chunks if len(chunk)]
        return cls(
            [chunk.values.to_numpy(zero_copy_only=True) for chunk in chunks],
            [chunk.offsets.to_numpy().astype(np.int64) for chunk in chunks],
        )

    @classmethod
    def from_arrays(cls, arrays: Iterable[NDArray[np.int32]]) -> Sequences:
        """Sequences held in memory."""
        arrays = list(arrays)
        flat = np.concatenate([np.zeros(0, np.int32), *arrays])
        return cls([flat], [np.cumsum([0, *map(len, arrays)], dtype=np.int64)])

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, row: int) -> NDArray[np.int32]:
        chunk = int(np.searchsorted(self._first_rows, row, side="right")) - 1
        start = self._starts[row]
        return self._values[chunk][start : start + self.lengths[row]]

    def padded(
        self, rows: NDArray[np.int64], before: Sequence[int] = (), after: Sequence[int] = ()
    ) -> tuple[Tensor, Tensor]:
        """The sequences of some rows with ids put before and after each, and padding.

        Returns:
            ids [len(rows), longest] int64 and lengths [len(rows)] int64.
        """
        extra = len(before) + len(after)
        lengths = self.lengths[rows] + extra
        ids = np.full((len(rows), int(lengths.max())), PAD_ID, dtype=np.int64)
        columns = np.arange(ids.shape[1])
        inner = (columns >= len(before)) & (columns < (lengths - len(after))[:, None])
        ids[inner] = self._concatenated(rows)
        ids[:, : len(before)] = before
        for k, token in enumerate(after):
            ids[np.arange(len(rows)), lengths - len(after) + k] = token
        return torch.from_numpy(ids), torch.from_numpy(lengths)

    def _concatenated(self, rows: NDArray[np.int64]) -> NDArray[np.int32]:
        chunks = np.searchsorted(self._first_rows, rows, side="right") - 1
        starts = self._starts[rows]
        pieces = zip(
            chunks.tolist(), starts.tolist(), (starts + self.lengths[rows]).tolist(), strict=True
        )
        return np.concatenate([self._values[chunk][a:b] for chunk, a, b in pieces])


def collate(
    source: Sequences, target: Sequences, rows: NDArray[np.int64], *, bos: int, eos: int
) -> Batch:
    """The batch of the given rows of a split."""
    source_ids, source_lengths = source.padded(rows, after=[eos])
    target_ids, target_lengths = target.padded(rows, before=[bos], after=[eos])
    indices = torch.from_numpy(rows.astype(np.int64))
    return Batch(source_ids, target_ids, source_lengths, target_lengths, indices)
