"""Constrained sparsemax (Malaviya et al., 2018): sparsemax whose weights have upper bounds."""

from typing import Unpack

import torch
from torch import Tensor

from seq2seq.mappings.constrained import Constrained, bounded
from seq2seq.mappings.learned import Learning
from seq2seq.mappings.sparsemax import SquaredNorm


def capped_projection(values: Tensor, valid: Tensor, upper: Tensor) -> Tensor:
    """Return min(u, (x − τ)_+), with τ such that the sum is 1 (Pardalos and Kovoor, 1990).

    S(τ) = Σ min(u, (x − τ)_+) decreases from Σu to 0. It is linear between the points x − u, where
    a weight leaves its bound, and x, where it becomes 0. Sorting these points gives S at each of
    them. The two points around S = 1 determine which weights are at their bounds, which are free,
    and which are 0.
    """
    with torch.no_grad():
        x, u = values.double().masked_fill(~valid, 0.0), upper.double()
        points, order = torch.cat([x - u, x], dim=-1).sort(-1)
        turns = torch.cat([-torch.ones_like(x), torch.ones_like(x)], dim=-1).gather(-1, order)
        falls = turns.cumsum(-1)[:, :-1] * points.diff(dim=-1)
        start = u.sum(-1, keepdim=True)
        total = torch.cat([start, start + falls.cumsum(-1)], dim=-1)  # S at each point
        above = (total > 1).sum(-1, keepdim=True)  # the number of points below τ
        beyond = torch.full_like(start, torch.inf)
        points = torch.cat([-beyond, points, beyond], dim=-1)
        low, high = points.gather(-1, above), points.gather(-1, above + 1)
        full = x - u >= high
        free = (x > low) & ~full & valid
    count = free.sum(-1, keepdim=True).clamp(min=1)
    top = values.detach().masked_fill(~free, torch.finfo(values.dtype).min).amax(-1, keepdim=True)
    # Subtract the top so that the sum is exact even if the top is far below 0.
    x = (values - top).masked_fill(~free, 0.0)
    used = (x + upper.masked_fill(~full, 0.0)).sum(-1, keepdim=True)
    y = (x - (used - 1) / count).clamp(min=0.0)
    return torch.where(free, y, upper.masked_fill(~full, 0.0))


def constrained_sparsemax(
    scores: Tensor,
    upper: Tensor,
    mask: Tensor | None = None,
    dim: int = -1,
    *,
    gamma: float | Tensor = 1.0,
) -> Tensor:
    """Return Π(x, u) = argmax_{y ≤ u} ⟨y, x⟩ − (γ/2)‖y‖², of the form min(u, (x/γ − τ)_+).

    Source: Malaviya et al. (2018).

    If the bounds of a row sum to less than 1, the weights are the bounds. The gradient of
    ``upper`` is exact too.

    Args:
        scores: ``[..., length]`` of any float type.
        upper: the bounds u, broadcastable to ``scores``; they are clamped to [0, 1].
        mask: bool, broadcastable to ``scores``, True = may be attended.
        dim: the dimension along which the mapping is computed.
        gamma: the strength γ > 0; larger values give denser weights.

    Returns:
        Weights like ``scores``, at most ``upper``; many are exactly 0.

    Raises:
        TypeError: if ``scores`` are not floating point, or ``mask`` is not bool.
        ValueError: if a parameter is outside its domain, or if it or ``mask`` does not broadcast.
    """
    return bounded(capped_projection, scores, upper, mask, dim, gamma)


class ConstrainedSparsemax(Constrained):
    """:func:`constrained_sparsemax` as a module; its bounds are the remaining fertility."""

    solve = staticmethod(capped_projection)

    def __init__(
        self,
        fertility: float | Tensor = 2.0,
        gamma: float | Tensor = 1.0,
        dim: int = -1,
        **learning: Unpack[Learning],
    ) -> None:
        super().__init__(SquaredNorm(), fertility, gamma, dim, **learning)
