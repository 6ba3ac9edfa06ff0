"""Rows of which several are the same, so that what is computed of a row is computed once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


def spread(distinct: Tensor, place: Tensor | None) -> Tensor:
    """The rows ``distinct[place]``; None: they are all there, in order."""
    return distinct if place is None else distinct.index_select(0, place)


@dataclass(frozen=True)
class Repeated:
    """The rows ``distinct[place]``, ``[rows, …]``; ``place`` None: ``distinct`` as it is."""

    distinct: Tensor
    place: Tensor | None = None

    @classmethod
    def of(cls, values: Tensor) -> Repeated:
        """Of ``values`` ``[rows]``."""
        distinct, place = torch.unique(values, return_inverse=True)
        return cls(distinct, place)

    @property
    def rows(self) -> int:
        """How many there are, the same ones counted again."""
        return (self.distinct if self.place is None else self.place).size(0)

    def all(self) -> Tensor:
        """Every row."""
        return spread(self.distinct, self.place)

    def map(self, function: Callable[[Tensor], Tensor]) -> Repeated:
        """What a function of rows makes of them."""
        return Repeated(function(self.distinct), self.place)
