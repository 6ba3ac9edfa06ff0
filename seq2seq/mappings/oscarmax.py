"""Oscarmax (Niculae and Blondel, 2017): sparse attention in groups of equal weights, anywhere."""

from dataclasses import dataclass
from typing import Self, Unpack

import torch
from torch import Tensor

from seq2seq.mappings import simplex
from seq2seq.mappings.domain import LAM, is_number
from seq2seq.mappings.learned import Learning
from seq2seq.mappings.mapping import Mapping
from seq2seq.mappings.operators import weights
from seq2seq.mappings.regularizer import Regularizer
from seq2seq.mappings.sparsemax import SquaredNorm
from seq2seq.mappings.taut_string import piece_means, taut_string


@dataclass(frozen=True)
class Oscar(Regularizer):
    """The regularizer Ω(y) = ½‖y‖² + λΣ_{i<j} max(y_i, y_j) = ½‖y‖² + λΣ_k (d − k)·y_(k).

    Here y_(1) ≥ y_(2) ≥ … are the weights in decreasing order, and d is the number of valid
    positions.
    """

    name = "oscarmax"
    of_holes = True
    piecewise_linear = True
    domain = LAM
    lam: float | Tensor = 0.1

    @property
    def pools(self) -> str:
        """Return ``group``, or ``word`` at λ = 0."""
        return "word" if is_number(self.lam, 0) else "group"

    def value(self, weights: Tensor, valid: Tensor) -> Tensor:
        """Return ½‖y‖² + λΣ_k (d − k)·y_(k), ``[rows]``."""
        descending = weights.sort(-1, descending=True).values
        rank = torch.arange(1, weights.shape[-1] + 1, device=weights.device)
        charge = (valid.sum(-1, keepdim=True) - rank).clamp(min=0)
        return (0.5 * weights.square() + self.lam * (charge * descending)).sum(-1)

    def vertex(self, index: Tensor, valid: Tensor) -> Tensor:
        """Return ½ + λ(d − 1), the value at every vertex."""
        return (0.5 + self.lam * (valid.sum(-1, keepdim=True).double() - 1))[:, 0]

    def argmax(self, values: Tensor, valid: Tensor) -> Tensor:
        """Return P_Δ of the non-increasing isotonic regression of x_(k) − λ(d − k), unsorted.

        The scores are ranked with their signs: on the simplex y ≥ 0, so ``|y| = y``, and the order
        of y is that of x. (The published algorithm ranks ``|x|`` and clips at 0. That gives the
        argmax only for large positive scores.)

        Adding a constant to the scores changes no weight, so the code uses λk in place of
        −λ(d − k). Values below −1 − λ(d − 1) cannot be in the support.
        """
        if is_number(self.lam, 0):
            return SquaredNorm().argmax(values, valid)
        descending, order = values.double().sort(-1, descending=True)
        lam = torch.as_tensor(self.lam, dtype=torch.float64, device=values.device)
        reach = 1 + lam * (valid.sum(-1, keepdim=True) - 1)
        near = descending >= -reach
        rank = torch.arange(values.shape[-1], device=values.device, dtype=torch.float64)
        x = (descending + lam * rank)[near]
        starts = (rank == 0).expand_as(near)[near]
        rows = torch.full_like(descending, -torch.inf)
        rows[near] = taut_string(x, starts, 0.0, torch.inf)
        unsorted = torch.empty_like(rows).scatter_(-1, order, rows)
        return simplex.project(unsorted).to(values.dtype)

    def jacobian_product(self, weights: Tensor, valid: Tensor, vectors: Tensor) -> Tensor:
        """Return the mean of v over each group of equal weights, less its mean over the support.

        It is 0 outside the support.
        """
        if not is_number(self.lam, 0):
            order, group = _groups(weights)
            means = piece_means(vectors.gather(-1, order).flatten(), group).view_as(vectors)
            means = torch.zeros_like(vectors).scatter(-1, order, means)
            lam = torch.as_tensor(self.lam, device=vectors.device)
            vectors = torch.where(lam > 0, means, vectors)
        return SquaredNorm().jacobian_product(weights, valid, vectors)

    def parameter_product(self, weights: Tensor, valid: Tensor, vectors: Tensor) -> Tensor:
        """Return Σ v·(k₁ − k), with k the mean rank of the group of equal weights.

        k₁ is the k of the group of the largest weights. As Σv = 0, the result equals Σ v·(d − k).
        In this form it is exactly 0 if the whole support is one group.
        """
        order, group = _groups(weights)
        rank = torch.arange(1, weights.shape[-1] + 1, device=weights.device, dtype=vectors.dtype)
        rank = piece_means(rank.expand_as(weights).flatten(), group).view_as(weights)
        return (vectors.gather(-1, order) * (rank[:, :1] - rank)).sum(-1)

    def relative(self, others: Tensor) -> tuple[Self, Tensor]:
        """Return Ω at 2λ/m in place of λ, and sparsemax's κ.

        The penalty is then λ·(m + 1) times the mean of max(y_i, y_j) over all pairs. If one word
        has all the weight, the penalty is 2λ in a row of any length, as for fusedmax.
        """
        return self.at(self.lam * 2 / others), SquaredNorm().relative(others)[1]


def _groups(weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return the decreasing order of each row, ``[rows, length]``, and numbers of groups of equals.

    The numbers, ``[rows · length]``, increase along the sorted rows, one row after the other.
    """
    y, order = weights.detach().sort(-1, descending=True)
    changes = torch.ones_like(y, dtype=torch.bool)
    changes[:, 1:] = y[:, 1:] != y[:, :-1]
    return order, changes.flatten().cumsum(0) - 1


def oscarmax(
    scores: Tensor,
    mask: Tensor | None = None,
    dim: int = -1,
    *,
    gamma: float | Tensor = 1.0,
    lam: float | Tensor = 0.1,
) -> Tensor:
    """Return Π(x) = argmax_y ⟨y, x⟩ − γ(½‖y‖² + λΣ_{i<j} max(y_i, y_j)): OSCAR on the simplex.

    Source: Niculae and Blondel (2017).

    The sum runs over the valid positions only.

    Args:
        scores: ``[..., length]`` of any float type.
        mask: bool, broadcastable to ``scores``, True = may be attended.
        dim: the dimension along which the mapping is computed.
        gamma: the strength γ > 0; larger values give denser weights.
        lam: the strength λ ≥ 0 of grouping, relative to γ; 0 is sparsemax.

    Returns:
        Weights like ``scores``; many are exactly 0, and the others form groups of equal weights.

    Raises:
        TypeError: if ``scores`` are not floating point, or ``mask`` is not bool.
        ValueError: if a parameter is outside its domain, or if it or ``mask`` does not broadcast.
    """
    return weights(Oscar.of(lam), scores, mask, dim, gamma)


class Oscarmax(Mapping):
    """:func:`oscarmax` as a module."""

    def __init__(
        self,
        gamma: float | Tensor = 1.0,
        lam: float | Tensor = 0.1,
        dim: int = -1,
        **learning: Unpack[Learning],
    ) -> None:
        super().__init__(Oscar(lam), gamma, dim, **learning)
