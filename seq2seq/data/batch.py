"""The batch: what a data loader yields and every model reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

PAD_ID, UNK_ID, BOS_ID, EOS_ID = 0, 1, 2, 3


def _real(length: int, lengths: Tensor) -> Tensor:
    """Return a mask [batch, length]: True where the position lies before the row's length."""
    return torch.arange(length, device=lengths.device) < lengths[:, None]


# Not frozen: Lightning's half-precision plugins rebuild the batch field by field.
@dataclass(eq=False)
class Batch:
    """Sentence pairs as padded subword ids.

    Attributes:
        source: [batch, source_length] int64, x1 … xn eos, then padding.
        target: [batch, target_length] int64, bos y1 … ym eos, then padding.
        source_lengths: [batch] int64, counts eos.
        target_lengths: [batch] int64, counts bos and eos.
        indices: [batch] int64, position of each example in its split.
        labels: [batch] int64, class of each example; None if the corpus has no classes.
    """

    source: Tensor
    target: Tensor
    source_lengths: Tensor
    target_lengths: Tensor
    indices: Tensor
    labels: Tensor | None = None

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def source_mask(self) -> Tensor:
        """[batch, source_length] bool, True at real tokens."""
        return _real(self.source.shape[1], self.source_lengths)

    @property
    def target_input(self) -> Tensor:
        """[batch, target_length - 1]: bos y1 … ym, what the decoder reads."""
        return self.target[:, :-1]

    @property
    def target_output(self) -> Tensor:
        """[batch, target_length - 1]: y1 … ym eos, what the decoder predicts."""
        return self.target[:, 1:]

    @property
    def target_mask(self) -> Tensor:
        """[batch, target_length - 1] bool, True at real tokens of `target_output`."""
        return _real(self.target.shape[1] - 1, self.target_lengths - 1)

    @property
    def tokens(self) -> int:
        """Number of source and target output tokens, without padding."""
        return int(self.source_lengths.sum() + self.target_lengths.sum()) - len(self)

    @property
    def slots(self) -> int:
        """Number of source and target output positions, with padding, that the model computes."""
        return len(self) * (self.source.shape[1] + self.target.shape[1] - 1)

    def ids(self, row: int) -> tuple[list[int], list[int]]:
        """Return the source and target ids of a row, both with eos, without bos and padding."""
        source = self.source[row, : int(self.source_lengths[row])].tolist()
        return source, self.target[row, 1 : int(self.target_lengths[row])].tolist()

    def part(self, rows: slice) -> Batch:
        """Return a slice of the rows, without the padding that only other rows need."""
        some = self._each(lambda tensor: tensor[rows])
        source, target = int(some.source_lengths.max()), int(some.target_lengths.max())
        return replace(some, source=some.source[:, :source], target=some.target[:, :target])

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """Return the same batch on another device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """Return the same batch in page-locked memory, which copies to a GPU faster."""
        return self._each(Tensor.pin_memory)

    def _each(self, function: Callable[[Tensor], Tensor]) -> Batch:
        tensors = ((f.name, getattr(self, f.name)) for f in fields(self))
        return replace(self, **{n: function(x) for n, x in tensors if x is not None})
