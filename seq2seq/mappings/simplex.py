"""Euclidean projection onto the simplex: argmin_y ‖y − x‖² = (x − τ)_+ with τ such that Σy = 1."""

import torch
from torch import Tensor


def project(values: Tensor) -> Tensor:
    """Project rows ``[rows, length]`` onto the simplex; −inf gets 0, and a row of −inf is all 0."""
    maximum = values.amax(-1, keepdim=True).clamp(min=torch.finfo(values.dtype).min)
    values = values - maximum
    return (values - threshold(values)).clamp(min=0.0)


def threshold(values: Tensor) -> Tensor:
    """The τ of each row, ``[rows, 1]``, of ``values`` whose largest is 0.

    Newton's method on Σ(x − τ)_+ = 1 from τ = −1: the sum is convex in τ, so τ only grows, the
    active set only shrinks, and when it does not, τ is exact. A few passes suffice, without a sort.
    """
    tau = values.new_full((values.shape[0], 1), -1.0)
    while True:
        active = values > tau
        total = values.masked_fill(~active, 0.0).sum(-1, keepdim=True)
        larger = (total - 1.0) / active.sum(-1, keepdim=True).clamp(min=1)
        if not bool((larger > tau).any()):
            return tau
        tau = torch.maximum(tau, larger)


def candidates(values: Tensor, margin: float) -> Tensor:
    """The values above −``margin`` of ``[rows, length]``, as ``[rows, fewer]`` where that pays.

    Wide rows, such as scores over a vocabulary, mostly hold values that no support can reach.
    """
    length = values.shape[-1]
    count = int((values > -margin).sum(-1).max()) if length > 64 else length
    return values.topk(max(count, 1), dim=-1).values if 4 * count < length else values
