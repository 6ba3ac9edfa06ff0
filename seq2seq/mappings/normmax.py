"""Normmax (Blondel, Martins and Niculae, 2020): the mapping of a p-norm that is not squared."""

from dataclasses import dataclass
from typing import Self, Unpack

import torch
from torch import Tensor

from seq2seq.mappings import simplex
from seq2seq.mappings.domain import Domain
from seq2seq.mappings.exponential_quotient import quotient
from seq2seq.mappings.learned import Learning
from seq2seq.mappings.mapping import Mapping
from seq2seq.mappings.operators import weights
from seq2seq.mappings.power_norm import logarithmic_slope, power_norm
from seq2seq.mappings.regularizer import Regularizer
from seq2seq.mappings.root import decreasing_root


@dataclass(frozen=True)
class PNorm(Regularizer):
    """The regularizer Ω(y) = ‖y‖_p, p > 1."""

    name = "normmax"
    domain = Domain(
        "p", "greater than 1 and finite", lambda p: (p > 1) & (p < float("inf")), low=1.001
    )
    p: float | Tensor = 2.0

    def value(self, weights: Tensor, valid: Tensor) -> Tensor:
        """Return ‖y‖_p, ``[rows]``."""
        some = (weights > 0).any(-1)
        return torch.where(some, power_norm(weights, self.p)[:, 0], 0.0)

    def vertex(self, index: Tensor, valid: Tensor) -> float:
        """Return 1, the value at every vertex."""
        return 1.0

    def argmax(self, values: Tensor, valid: Tensor) -> Tensor:
        """Return (x − τ)_+^{1/(p − 1)}, normalized to the sum 1."""
        tau = self._threshold(simplex.candidates(values, margin=1.0).double())
        ratio = (1 - values.double() / tau).clamp(min=0.0)  # x − τ, relative to its maximum
        z = torch.where(ratio > 0, (torch.log(ratio) / (self.p - 1)).exp(), 0.0)
        return (
            (z / z.sum(-1, keepdim=True).clamp(min=0.5)).masked_fill(~valid, 0.0).to(values.dtype)
        )

    def jacobian_product(self, weights: Tensor, valid: Tensor, vectors: Tensor) -> Tensor:
        """Return n/(p − 1)·(s∘(v − ⟨y, v⟩) − y·Σ s∘(v − ⟨y, v⟩)).

        Here n = ‖y‖_p, and s = (y/n)^{2−p} on the support. The Hessian
        (p − 1)/n·(diag(1/s) − u uᵀ), with u = (y/n)^{p−1}, is singular: it is 0 along y. As dx − dτ
        must lie in its range, dτ = ⟨y, dx⟩. The multiple of y is determined by Σy = 1.

        For p > 2 the derivative is unbounded as y → 0, so s is limited to 1/ε.
        """
        p, positive = self.p, weights > 0
        n = power_norm(weights, p)
        s = torch.where(positive, torch.where(positive, weights / n, 1.0).pow(2 - p), 0.0)
        s = s.clamp(max=1 / torch.finfo(s.dtype).eps)
        change = s * (vectors - (weights * vectors).sum(-1, keepdim=True))
        return n / (p - 1) * (change - weights * change.sum(-1, keepdim=True))

    def parameter_product(self, weights: Tensor, valid: Tensor, vectors: Tensor) -> Tensor:
        """Return Σ v·∂((y/n)^{p−1})/∂p with n = ‖y‖_p.

        It is Σ v·(y/n)^{p−1}·(log(y/n) − (p − 1)·∂(log n)/∂p).
        """
        p = self.p
        ratio = torch.where(weights > 0, weights / power_norm(weights, p), 1.0)
        change = ratio.log() - (p - 1) * logarithmic_slope(weights, p)
        return (vectors * ratio.pow(p - 1) * change).sum(-1)

    def relative(self, others: Tensor) -> tuple[Self, Tensor]:
        """Return Ω, and κ = 1 / (a·(1 + m^−a)^{1/p − 1}·q(−a log m)).

        Here a = p − 1 and q(z) = (e^z − 1)/z. The lead is Δ = (1 − m^−a)·(1 + m^−a)^{1/p − 1}.
        """
        a = self.p - 1
        fall = -a * others.log()
        return self, 1 / (a * (1 + fall.exp()) ** (1 / self.p - 1) * quotient(fall))

    def _threshold(self, values: Tensor) -> Tensor:
        """Return the τ of each row, ``[rows, 1]``, for ``values`` whose maximum is 0 in each row.

        At the optimum (y/n)^{p−1} = x − τ on the support, and Σ(y/n)^p = 1. So τ is the root of
        ‖(x − τ)_+‖_q − 1 with q = p/(p − 1), which is convex in τ. The largest of d weights lies
        between 1/d and 1, which gives the bracket.
        """
        q = self.p / (self.p - 1)
        low = values.new_full((values.shape[0], 1), -1.0)
        high = low * simplex.width(values) ** (-1 / q)

        def function(tau: Tensor) -> tuple[Tensor, Tensor]:
            ratio = (1 - values / tau).clamp(min=0.0)
            powers = torch.where(ratio > 0, (ratio.log() * (q - 1)).exp(), 0.0)
            total = (ratio * powers).sum(-1, keepdim=True)
            norm = -tau * total.pow(1 / q)
            return norm - 1, -total.pow(1 / q - 1) * powers.sum(-1, keepdim=True)

        return decreasing_root(function, low, high)


def normmax(
    scores: Tensor,
    mask: Tensor | None = None,
    dim: int = -1,
    *,
    p: float | Tensor = 2.0,
    gamma: float | Tensor = 1.0,
) -> Tensor:
    """Return Π(x) = argmax_y ⟨y, x⟩ − γ‖y‖_p, of the form y ∝ (x − τ)_+^{1/(p − 1)}.

    Source: Blondel, Martins and Niculae (2020).

    Args:
        scores: ``[..., length]`` of any float type.
        mask: bool, broadcastable to ``scores``, True = may be attended.
        dim: the dimension along which the mapping is computed.
        p: p > 1; larger values make the weights of the support more equal.
        gamma: the strength γ > 0; larger values give denser weights.

    Returns:
        Weights like ``scores``; some are exactly 0.

    Raises:
        TypeError: if ``scores`` are not floating point, or ``mask`` is not bool.
        ValueError: if a parameter is outside its domain, or if it or ``mask`` does not broadcast.
    """
    return weights(PNorm.of(p), scores, mask, dim, gamma)


class Normmax(Mapping):
    """:func:`normmax` as a module."""

    def __init__(
        self,
        p: float | Tensor = 2.0,
        gamma: float | Tensor = 1.0,
        dim: int = -1,
        **learning: Unpack[Learning],
    ) -> None:
        super().__init__(PNorm(p), gamma, dim, **learning)
