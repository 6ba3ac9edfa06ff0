"""Squared p-norm mapping (Niculae and Blondel, 2017): for p < 2 less sparse than sparsemax."""

from dataclasses import dataclass
from typing import Self, Unpack

import torch
from torch import Tensor

from seq2seq.mappings import simplex
from seq2seq.mappings.domain import Domain, is_number
from seq2seq.mappings.exponential_quotient import quotient
from seq2seq.mappings.learned import Learning
from seq2seq.mappings.mapping import Mapping
from seq2seq.mappings.operators import weights
from seq2seq.mappings.power_norm import logarithmic_slope, power_norm
from seq2seq.mappings.regularizer import Regularizer
from seq2seq.mappings.root import decreasing_root


@dataclass(frozen=True)
class SquaredPNorm(Regularizer):
    """The regularizer Ω(y) = ½‖y‖_p², 1 < p ≤ 2."""

    name = "sqpnormmax"
    domain = Domain(
        "p", "greater than 1 and at most 2", lambda p: (p > 1) & (p <= 2), low=1.001, high=2.0
    )
    p: float | Tensor = 1.5

    def value(self, weights: Tensor, valid: Tensor) -> Tensor:
        """Return ½‖y‖_p², ``[rows]``."""
        some = (weights > 0).any(-1)
        return torch.where(some, 0.5 * power_norm(weights, self.p).square()[:, 0], 0.0)

    def vertex(self, index: Tensor, valid: Tensor) -> float:
        """Return ½, the value at every vertex."""
        return 0.5

    def argmax(self, values: Tensor, valid: Tensor) -> Tensor:
        """Return v^r, normalized to the sum 1, with r = 1/(p − 1) and v = (1 + x/m)_+.

        :meth:`_scale` computes m = −τ.
        """
        if is_number(self.p, 2):
            return simplex.project(values)
        scale = self._scale(simplex.candidates(values, margin=1.0).double())
        z = self._power(values.double() / scale)
        return (z / z.sum(-1, keepdim=True).clamp(min=0.5)).to(values.dtype)

    def jacobian_product(self, weights: Tensor, valid: Tensor, vectors: Tensor) -> Tensor:
        """Return H⁻¹v − H⁻¹1·⟨1, H⁻¹v⟩/⟨1, H⁻¹1⟩, with H the Hessian of Ω on the support.

        With n = ‖y‖_p, H⁻¹ = (diag(y^{2−p}) − (2 − p)·n^{−p}·y yᵀ) / ((p − 1)·n^{2−p})
        (Sherman–Morrison).
        """
        p = self.p
        positive = weights > 0
        y = torch.where(positive, weights, 1.0)
        s = torch.where(positive, y.pow(2 - p), 0.0)
        n = power_norm(weights, p)

        def inverse(v: Tensor) -> Tensor:
            product = s * v - (2 - p) / n.pow(p) * weights * (weights * v).sum(-1, keepdim=True)
            return product / ((p - 1) * n.pow(2 - p))

        ones, result = inverse(positive.to(s.dtype)), inverse(vectors)
        total = ones.sum(-1, keepdim=True)
        return result - ones * result.sum(-1, keepdim=True) / torch.where(total > 0, total, 1.0)

    def parameter_product(self, weights: Tensor, valid: Tensor, vectors: Tensor) -> Tensor:
        """Return Σ v·∂(n^{2−p}·y^{p−1})/∂p with n = ‖y‖_p.

        It is Σ v·n·(y/n)^{p−1}·(log(y/n) + (2 − p)·∂(log n)/∂p).
        """
        p, n = self.p, power_norm(weights, self.p)
        ratio = torch.where(weights > 0, weights / n, 1.0)
        change = ratio.log() + (2 - p) * logarithmic_slope(weights, p)
        return (vectors * n * ratio.pow(p - 1) * change).sum(-1)

    def relative(self, others: Tensor) -> tuple[Self, Tensor]:
        """Return Ω, and κ = 2 / (a·(1 + m^−a)^{2/p − 1}·q(−a log m)).

        Here a = p − 1 and q(z) = (e^z − 1)/z. The lead is Δ = ½·(1 − m^−a)·(1 + m^−a)^{2/p − 1}.
        """
        a = self.p - 1
        fall = -a * others.log()
        return self, 2 / (a * (1 + fall.exp()) ** (2 / self.p - 1) * quotient(fall))

    def _power(self, ratio: Tensor) -> Tensor:
        """Return (1 + x/m)_+^{1/(p − 1)}."""
        return (torch.log1p(ratio.clamp(min=-1.0)) / (self.p - 1)).exp()

    def _scale(self, values: Tensor) -> Tensor:
        """Return m = −τ of each row, ``[rows, 1]``, for ``values`` whose maximum is 0 in each row.

        At the optimum Σz = ‖z‖_p^{2−p}, where z = (x − τ)_+^r. With v = (x − τ)_+/m, whose maximum
        is 1, that is log m + log Σv^r − (2 − p)/p · log Σv^{r+1} = 0. The root lies between
        d^{(2−p)(1−p)/p − (p−1)} and 1.
        """
        p, r = self.p, 1 / (self.p - 1)
        high = values.new_ones(values.shape[0], 1)
        low = simplex.width(values) ** ((2 - p) * (1 - p) / p - (p - 1))
        finite = values.clamp(min=-2.0)

        def function(m: Tensor) -> tuple[Tensor, Tensor]:
            ratio = finite / m
            v = (1 + ratio).clamp(min=0.0)
            z = self._power(ratio)
            growth = torch.where(v > 0, -ratio / m, 0.0)  # dv/dm
            small = torch.where(v > 0, z / torch.where(v > 0, v, 1.0), 0.0)  # v^{r−1}
            first, second = z.sum(-1, keepdim=True), (z * v).sum(-1, keepdim=True)
            value = m.log() + first.log() - (2 - p) / p * second.log()
            slope = (
                1 / m
                + r * (small * growth).sum(-1, keepdim=True) / first
                - (2 - p) / p * (r + 1) * (z * growth).sum(-1, keepdim=True) / second
            )
            return -value, -slope

        return decreasing_root(function, low, high)


def sqpnormmax(
    scores: Tensor,
    mask: Tensor | None = None,
    dim: int = -1,
    *,
    p: float | Tensor = 1.5,
    gamma: float | Tensor = 1.0,
) -> Tensor:
    """Return Π(x) = argmax_y ⟨y, x⟩ − (γ/2)‖y‖_p², of the form y ∝ (x − τ)_+^{1/(p − 1)}.

    Source: Niculae and Blondel (2017).

    Args:
        scores: ``[..., length]`` of any float type.
        mask: bool, broadcastable to ``scores``, True = may be attended.
        dim: the dimension along which the mapping is computed.
        p: 1 < p ≤ 2; 2 is sparsemax.
        gamma: the strength γ > 0; larger values give denser weights.

    Returns:
        Weights like ``scores``; some are exactly 0.

    Raises:
        TypeError: if ``scores`` are not floating point, or ``mask`` is not bool.
        ValueError: if a parameter is outside its domain, or if it or ``mask`` does not broadcast.
    """
    return weights(SquaredPNorm.of(p), scores, mask, dim, gamma)


class Sqpnormmax(Mapping):
    """:func:`sqpnormmax` as a module."""

    def __init__(
        self,
        p: float | Tensor = 1.5,
        gamma: float | Tensor = 1.0,
        dim: int = -1,
        **learning: Unpack[Learning],
    ) -> None:
        super().__init__(SquaredPNorm(p), gamma, dim, **learning)
