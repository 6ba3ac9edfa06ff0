"""Sparsemax (Martins and Astudillo, 2016): Euclidean projection of the scores onto the simplex."""

from dataclasses import dataclass
from typing import Self, Unpack

import torch
from torch import Tensor

from seq2seq.mappings import simplex
from seq2seq.mappings.learned import Learning
from seq2seq.mappings.mapping import Mapping
from seq2seq.mappings.operators import weights
from seq2seq.mappings.regularizer import Regularizer


@dataclass(frozen=True)
class SquaredNorm(Regularizer):
    """The regularizer Ω(y) = ½‖y‖²."""

    name = "sparsemax"
    piecewise_linear = True

    def value(self, weights: Tensor, valid: Tensor) -> Tensor:
        """Return ½‖y‖², ``[rows]``."""
        return 0.5 * weights.square().sum(-1)

    def vertex(self, index: Tensor, valid: Tensor) -> float:
        """Return ½, the value at every vertex."""
        return 0.5

    def argmax(self, values: Tensor, valid: Tensor) -> Tensor:
        """Return (x − τ)_+, with τ such that the sum is 1."""
        tau = simplex.threshold(simplex.candidates(values, margin=1.0))
        return (values - tau).clamp(min=0.0)

    def jacobian_product(self, weights: Tensor, valid: Tensor, vectors: Tensor) -> Tensor:
        """Return v less its mean over the support; 0 outside the support."""
        support = (weights > 0).to(vectors.dtype)
        count = support.sum(-1, keepdim=True).clamp(min=1.0)
        return support * (vectors - (support * vectors).sum(-1, keepdim=True) / count)

    def relative(self, others: Tensor) -> tuple[Self, Tensor]:
        """Return Ω, and κ = 2·log m / (1 − 1/m), 2 for m = 1; the lead is Δ = ½ − 1/(2m)."""
        lead = 0.5 - 0.5 / others
        return self, torch.where(others > 1, others.log() / lead, 2.0)


def sparsemax(
    scores: Tensor, mask: Tensor | None = None, dim: int = -1, *, gamma: float | Tensor = 1.0
) -> Tensor:
    """Return Π(x) = argmax_y ⟨y, x⟩ − (γ/2)‖y‖² = P_Δ(x/γ), the projection onto the simplex.

    Source: Martins and Astudillo (2016).

    Args:
        scores: ``[..., length]`` of any float type.
        mask: bool, broadcastable to ``scores``, True = may be attended.
        dim: the dimension along which the mapping is computed.
        gamma: the strength γ > 0; larger values give denser weights.

    Returns:
        Weights like ``scores``; many are exactly 0.

    Raises:
        TypeError: if ``scores`` are not floating point, or ``mask`` is not bool.
        ValueError: if a parameter is outside its domain, or if it or ``mask`` does not broadcast.
    """
    return weights(SquaredNorm(), scores, mask, dim, gamma)


class Sparsemax(Mapping):
    """:func:`sparsemax` as a module."""

    def __init__(
        self, gamma: float | Tensor = 1.0, dim: int = -1, **learning: Unpack[Learning]
    ) -> None:
        super().__init__(SquaredNorm(), gamma, dim, **learning)
