"""Rows that may repeat, stored once, so that functions of them are computed once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


def spread(distinct: Tensor, place: Tensor | None) -> Tensor:
    """Return the rows ``distinct[place]``, or ``distinct`` if ``place`` is ``None``."""
    return distinct if place is None else distinct.index_select(0, place)


@dataclass(frozen=True)
class Repeated:
    """The rows ``distinct[place]``, ``[rows, …]``; ``distinct`` if ``place`` is ``None``."""

    distinct: Tensor
    place: Tensor | None = None

    @classmethod
    def of(cls, values: Tensor) -> Repeated:
        """Find the distinct values of ``values`` ``[rows]``."""
        distinct, place = torch.unique(values, return_inverse=True)
        return cls(distinct, place)

    @property
    def rows(self) -> int:
        """The number of rows, including repeats."""
        return (self.distinct if self.place is None else self.place).size(0)

    def all(self) -> Tensor:
        """Return all rows, including repeats."""
        return spread(self.distinct, self.place)

    def map(self, function: Callable[[Tensor], Tensor]) -> Repeated:
        """Apply a function, which must treat each row separately, to the distinct rows."""
        return Repeated(function(self.distinct), self.place)
