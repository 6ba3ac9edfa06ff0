"""Constrained softmax (Martins and Kreutzer, 2017): softmax whose weights have upper bounds."""

from typing import Unpack

import torch
from torch import Tensor

from seq2seq.mappings.constrained import Constrained, bounded
from seq2seq.mappings.learned import Learning
from seq2seq.mappings.softmax import Negentropy


def capped_softmax(values: Tensor, valid: Tensor, upper: Tensor) -> Tensor:
    """min(u, c·exp(x)) with c such that the sum is 1.

    Each weight meets its bound at c = u/exp(x). In the order of these, S(c) = Σ min(u, c·exp(x)) is
    known where the k-th meets its bound: the bounds up to there, and c·exp(x) of the others. Those
    with S ≤ 1 are at their bounds, and the others share what is left as softmax does.
    """
    with torch.no_grad():
        x = values.double()
        meeting = (upper.double().log() - x).masked_fill(~valid, torch.inf)  # log c
        meeting, order = meeting.sort(-1)
        tail = x.gather(-1, order).flip(-1).logcumsumexp(-1).flip(-1)
        after = torch.nn.functional.pad(tail[:, 1:], (0, 1), value=-torch.inf)
        total = upper.double().gather(-1, order).cumsum(-1) + (meeting + after).exp()
        free = torch.empty_like(valid).scatter_(-1, order, ~(total <= 1)) & valid
    left = (1 - upper.masked_fill(free, 0.0).sum(-1, keepdim=True)).clamp(min=0.0)
    some = free.any(-1, keepdim=True)
    x = values.masked_fill(~free, -torch.inf).masked_fill(~some, 0.0)
    return torch.where(free, left * x.softmax(-1), upper)


def constrained_softmax(
    scores: Tensor,
    upper: Tensor,
    mask: Tensor | None = None,
    dim: int = -1,
    *,
    gamma: float | Tensor = 1.0,
) -> Tensor:
    """Π(x, u) = argmax_{y ≤ u} ⟨y, x⟩ − γΣ y log y, of the form min(u, c·exp(x/γ)).

    Martins and Kreutzer (2017).

    Where the bounds of a row sum to less than 1, nothing is left to choose: the weights are the
    bounds. The gradient of ``upper`` is exact too.

    Args:
        scores: ``[..., length]`` of any float type.
        upper: the bounds u, broadcastable to ``scores``; below 0 is 0, above 1 is none.
        mask: bool, broadcastable to ``scores``, True = may be attended.
        dim: the dimension that the mapping works along.
        gamma: the strength γ > 0, known as temperature.

    Returns:
        Weights like ``scores``, at most ``upper``.

    Raises:
        TypeError: if ``scores`` are not floating point, or ``mask`` is not bool.
        ValueError: if a parameter is outside its domain, or it or ``mask`` does not broadcast.
    """
    return bounded(capped_softmax, scores, upper, mask, dim, gamma)


class ConstrainedSoftmax(Constrained):
    """:func:`constrained_softmax` as a module; its bounds are the fertility left."""

    solve = staticmethod(capped_softmax)

    def __init__(
        self,
        fertility: float | Tensor = 2.0,
        gamma: float | Tensor = 1.0,
        dim: int = -1,
        **learning: Unpack[Learning],
    ) -> None:
        super().__init__(Negentropy(), fertility, gamma, dim, **learning)
