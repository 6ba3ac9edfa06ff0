"""Euclidean projection onto the simplex: argmin_y ‖y − x‖² = (x − τ)_+ with τ such that Σy = 1."""

import torch
from torch import Tensor

from seq2seq.mappings import tracing


def project(values: Tensor) -> Tensor:
    """Project rows ``[rows, length]`` onto the simplex; −inf gives 0, so a row of −inf is all 0."""
    maximum = values.amax(-1, keepdim=True).clamp(min=torch.finfo(values.dtype).min)
    values = values - maximum
    return (values - threshold(values)).clamp(min=0.0)


def threshold(values: Tensor) -> Tensor:
    """Return the τ of each row, ``[rows, 1]``, for ``values`` whose maximum is 0 in each row.

    This is Newton's method on Σ(x − τ)_+ = 1 from τ = −1. The sum is convex in τ, so τ only grows,
    and the active set only shrinks. When it stops shrinking, τ is exact. A few passes suffice,
    without a sort.
    """
    if tracing.active():
        return _threshold_by_sorting(values)
    tau = values.new_full((values.shape[0], 1), -1.0)
    while True:
        active = values > tau
        total = values.masked_fill(~active, 0.0).sum(-1, keepdim=True)
        larger = (total - 1.0) / active.sum(-1, keepdim=True).clamp(min=1)
        if not bool((larger > tau).any()):
            return tau
        tau = torch.maximum(tau, larger)


def _threshold_by_sorting(values: Tensor) -> Tensor:
    """Compute :func:`threshold` by a sort, without a loop.

    τ is (Σ_{i≤k} x_(i) − 1)/k for the last k with 1 + k·x_(k) > Σ_{i≤k} x_(i).
    """
    descending = values.double().clamp(min=-2.0).sort(-1, descending=True).values
    total = descending.cumsum(-1)
    rank = torch.ones_like(descending).cumsum(-1)
    count = (1 + rank * descending > total).sum(-1, keepdim=True)
    return ((total.gather(-1, count - 1) - 1) / count).to(values.dtype)


def width(values: Tensor) -> Tensor:
    """Return the length of the rows as numbers ``[rows, 1]``, in the type of ``values``."""
    return torch.ones_like(values).sum(-1, keepdim=True)


def candidates(values: Tensor, margin: float) -> Tensor:
    """Return the values above −``margin`` of ``[rows, length]``, as ``[rows, fewer]`` if that pays.

    In a wide row, such as scores over a vocabulary, most values are too low to be in the support.
    """
    if tracing.active():
        return values
    length = values.shape[-1]
    count = int((values > -margin).sum(-1).max()) if length > 64 else length
    return values.topk(max(count, 1), dim=-1).values if 4 * count < length else values
