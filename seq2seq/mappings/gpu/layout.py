"""Strides of the rows of tensors, expressed in at most three leading dimensions."""

import math

from torch import Tensor

LEADING = 3  # attention needs at most [batch, head, query]


class Layout:
    """The leading dimensions that tensors broadcast to, merged as far as all strides allow.

    Args:
        lead: the shape of the rows.
        tensors: each broadcastable to ``lead`` with one more dimension, or None.

    Attributes:
        sizes: the three sizes, outermost first.
        strides: for each tensor, its three strides and the stride along the row; 0 if it is None.
        tensors: the tensors to read. If three dimensions do not suffice, these are copies.
    """

    def __init__(self, lead: tuple[int, ...], tensors: list[Tensor | None]) -> None:
        expanded = [None if x is None else x.expand(*lead, x.shape[-1]) for x in tensors]
        sizes, strides = _merge(lead, [_strides(x, len(lead)) for x in expanded])
        if len(sizes) > LEADING:
            expanded = [None if x is None else x.contiguous() for x in expanded]
            sizes, strides = _merge(lead, [_strides(x, len(lead)) for x in expanded])
        missing = LEADING - len(sizes)
        self.sizes = [1] * missing + sizes
        self.strides = [
            [0] * missing + step + [0 if x is None else x.stride(-1)]
            for x, step in zip(expanded, strides, strict=True)
        ]
        self.tensors = expanded

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return math.prod(self.sizes)


def _strides(x: Tensor | None, dimensions: int) -> list[int]:
    return [0] * dimensions if x is None else list(x.stride()[:dimensions])


def _merge(lead: tuple[int, ...], strides: list[list[int]]) -> tuple[list[int], list[list[int]]]:
    """Drop dimensions of size 1, and merge neighbors that are contiguous in all tensors."""
    sizes: list[int] = []
    steps: list[list[int]] = [[] for _ in strides]
    for dimension, size in enumerate(lead):
        if size == 1:
            continue
        here = [stride[dimension] for stride in strides]
        if sizes and all(step[-1] == size * now for step, now in zip(steps, here, strict=True)):
            sizes[-1] *= size
            for step, now in zip(steps, here, strict=True):
                step[-1] = now
        else:
            sizes.append(size)
            for step, now in zip(steps, here, strict=True):
                step.append(now)
    return sizes, steps
