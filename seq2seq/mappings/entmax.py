"""Entmax (Peters, Niculae and Martins, 2019): softmax (α → 1) to sparsemax (α = 2) and beyond."""

import math
from dataclasses import dataclass
from typing import Any, Self, Unpack

import torch
from torch import Tensor

from seq2seq.mappings import simplex
from seq2seq.mappings.domain import Domain, is_number
from seq2seq.mappings.exponential_quotient import quotient, quotient_slope
from seq2seq.mappings.learned import Learning
from seq2seq.mappings.mapping import Mapping
from seq2seq.mappings.operators import weights
from seq2seq.mappings.regularizer import Regularizer
from seq2seq.mappings.root import decreasing_root


@dataclass(frozen=True)
class TsallisNegentropy(Regularizer):
    """The regularizer Ω(y) = Σ (y^α − y) / (α(α − 1)), which is 0 at the vertices.

    For α → 1 it tends to Σ y log y. At α = 1 it is that limit, and the mapping is softmax. At α = 2
    it is ½‖y‖² − ½, and the mapping is sparsemax.
    """

    name = "entmax"
    domain = Domain(
        "alpha",
        "at least 1 and finite",
        lambda alpha: (alpha >= 1) & (alpha < math.inf),
        low=1.0,
        learned_high=2.0,  # as in Correia et al. (2019); above 2, the derivative is unbounded
    )
    alpha: float | Tensor = 1.5

    def value(self, weights: Tensor, valid: Tensor) -> Tensor:
        """Return Σ y·(y^{α−1} − 1) / (α(α − 1)), ``[rows]``, exact also at and near α = 1."""
        logarithm = torch.where(weights > 0, weights, 1.0).log()
        if isinstance(self.alpha, Tensor):
            terms = weights * logarithm * quotient((self.alpha - 1) * logarithm)
        else:  # the same value, faster, but without a derivative in α
            terms = weights * torch.expm1(self._excess * logarithm) / self._excess
        return (terms / self.alpha).sum(-1)

    def vertex(self, index: Tensor, valid: Tensor) -> float:
        """Return 0, the value at every vertex."""
        return 0.0

    def argmax(self, values: Tensor, valid: Tensor) -> Tensor:
        """Return (1 + (α − 1)(x − c))_+^{1/(α − 1)}, with c such that the sum is 1."""
        if is_number(self.alpha, 2):
            return simplex.project(values)
        near = simplex.candidates(values, margin=1 / self._excess).double()
        y = self._power(values.double() - self._threshold(near))
        # For α > 2, y is steep in c, so rounding c changes the sum: correct it along dy/dc.
        s = self._slope(y)
        excess = (y.sum(-1, keepdim=True) - 1) / s.sum(-1, keepdim=True).clamp(min=0.5)
        return (y - s * excess).clamp(min=0.0).to(values.dtype)

    def jacobian_product(self, weights: Tensor, valid: Tensor, vectors: Tensor) -> Tensor:
        """Return (diag(s) − s sᵀ/Σs)·v with s = y^{2 − α} on the support.

        For α > 2 the derivative is unbounded as y → 0, so s is limited to 1/ε.
        """
        positive = weights > 0
        s = torch.where(positive, torch.where(positive, weights, 1.0).pow(2 - self.alpha), 0.0)
        s = s.clamp(max=1 / torch.finfo(s.dtype).eps)
        total = s.sum(-1, keepdim=True)
        mean = (s * vectors).sum(-1, keepdim=True) / torch.where(total > 0, total, 1.0)
        return s * (vectors - mean)

    def parameter_product(self, weights: Tensor, valid: Tensor, vectors: Tensor) -> Tensor:
        """Return Σ v·∂((y^a − 1)/a)/∂a with a = α − 1 (Correia et al., 2019).

        It equals Σ v·log² y·q′(a·log y) with q(z) = (e^z − 1)/z, and ½Σ v·log² y in the limit a →
        0. The other terms of ∇Ω are constant over a row, so they are left out.
        """
        logarithm = torch.where(weights > 0, weights, 1.0).log()
        slope = quotient_slope((self.alpha - 1) * logarithm)
        return (vectors * logarithm.square() * slope).sum(-1)

    def relative(self, others: Tensor) -> tuple[Self, Tensor]:
        """Return Ω, and κ = 2^a / q(−a log m) with a = α − 1 and q(z) = (e^z − 1)/z.

        The lead is Δ = (½^a − (½/m)^a)/a. For α → 1, κ tends to 1, which is softmax's.
        """
        a = self.alpha - 1
        return self, 2**a / quotient(-a * others.log())

    @property
    def _excess(self) -> Any:
        """Return a = α − 1, but at least 1e-15, which computes the limit a → 0 accurately."""
        a = self.alpha - 1
        return a.clamp(min=1e-15) if isinstance(a, Tensor) else max(a, 1e-15)

    def _power(self, excess: Tensor) -> Tensor:
        """Return (1 + a·e)_+^{1/a} with a = α − 1; exp(e) in the limit a → 0."""
        a = self._excess
        if is_number(a, 0.5):
            return (1 + 0.5 * excess).clamp(min=0.0).square()
        return (torch.log1p((a * excess).clamp(min=-1.0)) / a).exp()

    def _slope(self, y: Tensor) -> Tensor:
        """Return −dy/dc = y^{2 − α} on the support."""
        return torch.where(y > 0, y.pow(2 - self.alpha), 0.0)

    def _threshold(self, values: Tensor) -> Tensor:
        """Return the c of each row, ``[rows, 1]``, for ``values`` whose maximum is 0 in each row.

        With F(c) = Σy and a = α − 1, c is the root of (F^a − 1)/a. For α ≤ 2, F^a is a norm of
        1 + a(x − c): convex in c and nearly linear. So Newton's method from the left needs only a
        few steps. The largest y lies between 1/length and 1, which gives the bracket of c.
        """
        a = self._excess
        low = values.new_zeros(values.shape[0], 1)
        high = low - torch.expm1(-a * simplex.width(values).log()) / a

        def function(c: Tensor) -> tuple[Tensor, Tensor]:
            y = self._power(values - c)
            s = self._slope(y).sum(-1, keepdim=True)
            logarithm = y.sum(-1, keepdim=True).clamp(min=torch.finfo(y.dtype).tiny).log()
            return torch.expm1(a * logarithm) / a, -((a - 1) * logarithm).exp() * s

        return decreasing_root(function, low, high)


def entmax(
    scores: Tensor,
    mask: Tensor | None = None,
    dim: int = -1,
    *,
    alpha: float | Tensor = 1.5,
    gamma: float | Tensor = 1.0,
) -> Tensor:
    """Return Π(x) = argmax_y ⟨y, x⟩ − γΣ(y^α − y)/(α(α − 1)).

    The weights have the form ((α − 1)x/γ − τ)_+^{1/(α − 1)}.

    Source: Peters, Niculae and Martins (2019).

    Args:
        scores: ``[..., length]`` of any float type.
        mask: bool, broadcastable to ``scores``, True = may be attended.
        dim: the dimension along which the mapping is computed.
        alpha: α ≥ 1; 1 is softmax, 2 is sparsemax, and larger values are sparser still.
        gamma: the strength γ > 0; larger values give denser weights.

    Returns:
        Weights like ``scores``; for α > 1, some can be exactly 0.

    Raises:
        TypeError: if ``scores`` are not floating point, or ``mask`` is not bool.
        ValueError: if a parameter is outside its domain, or if it or ``mask`` does not broadcast.
    """
    return weights(TsallisNegentropy.of(alpha), scores, mask, dim, gamma)


class Entmax(Mapping):
    """:func:`entmax` as a module."""

    def __init__(
        self,
        alpha: float | Tensor = 1.5,
        gamma: float | Tensor = 1.0,
        dim: int = -1,
        **learning: Unpack[Learning],
    ) -> None:
        super().__init__(TsallisNegentropy(alpha), gamma, dim, **learning)
