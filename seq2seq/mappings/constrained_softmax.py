"""Constrained softmax (Martins and Kreutzer, 2017): softmax whose weights have upper bounds."""

from typing import Unpack

import torch
from torch import Tensor

from seq2seq.mappings.constrained import Constrained, bounded
from seq2seq.mappings.learned import Learning
from seq2seq.mappings.softmax import Negentropy


def capped_softmax(values: Tensor, valid: Tensor, upper: Tensor) -> Tensor:
    """Return min(u, c·exp(x)), with c such that the sum is 1.

    A weight reaches its bound at c = u/exp(x). Sort the weights by this c. At the c where the k-th
    weight reaches its bound, S(c) = Σ min(u, c·exp(x)) is known: the bounds of the first k weights,
    plus c·exp(x) of the others. The weights with S ≤ 1 are at their bounds. The others share the
    rest as in softmax.
    """
    with torch.no_grad():
        x = values.double()
        meeting = (upper.double().log() - x).masked_fill(~valid, torch.inf)  # log c
        meeting, order = meeting.sort(-1)
        tail = x.gather(-1, order).flip(-1).logcumsumexp(-1).flip(-1)
        after = torch.nn.functional.pad(tail[:, 1:], (0, 1), value=-torch.inf)
        total = upper.double().gather(-1, order).cumsum(-1) + (meeting + after).exp()
        free = torch.empty_like(valid).scatter_(-1, order, ~(total <= 1)) & valid
    remaining = (1 - upper.masked_fill(free, 0.0).sum(-1, keepdim=True)).clamp(min=0.0)
    any_free = free.any(-1, keepdim=True)
    x = values.masked_fill(~free, -torch.inf).masked_fill(~any_free, 0.0)
    return torch.where(free, remaining * x.softmax(-1), upper)


def constrained_softmax(
    scores: Tensor,
    upper: Tensor,
    mask: Tensor | None = None,
    dim: int = -1,
    *,
    gamma: float | Tensor = 1.0,
) -> Tensor:
    """Return Π(x, u) = argmax_{y ≤ u} ⟨y, x⟩ − γΣ y log y, of the form min(u, c·exp(x/γ)).

    Source: Martins and Kreutzer (2017).

    If the bounds of a row sum to less than 1, the weights are the bounds. The gradient of
    ``upper`` is exact too.

    Args:
        scores: ``[..., length]`` of any float type.
        upper: the bounds u, broadcastable to ``scores``; they are clamped to [0, 1].
        mask: bool, broadcastable to ``scores``, True = may be attended.
        dim: the dimension along which the mapping is computed.
        gamma: the strength γ > 0, also called temperature.

    Returns:
        Weights like ``scores``, at most ``upper``.

    Raises:
        TypeError: if ``scores`` are not floating point, or ``mask`` is not bool.
        ValueError: if a parameter is outside its domain, or if it or ``mask`` does not broadcast.
    """
    return bounded(capped_softmax, scores, upper, mask, dim, gamma)


class ConstrainedSoftmax(Constrained):
    """:func:`constrained_softmax` as a module; its bounds are the remaining fertility."""

    solve = staticmethod(capped_softmax)

    def __init__(
        self,
        fertility: float | Tensor = 2.0,
        gamma: float | Tensor = 1.0,
        dim: int = -1,
        **learning: Unpack[Learning],
    ) -> None:
        super().__init__(Negentropy(), fertility, gamma, dim, **learning)
