"""Fusedmax (Niculae and Blondel, 2017): sparse attention whose neighbors share one weight."""

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
class TotalVariation(Regularizer):
    """Ω(y) = ½‖y‖² + λΣ|y_{i+1} − y_i|, over neighbors among the valid positions."""

    name = "fusedmax"
    of_holes = True
    neighbors = True
    piecewise_linear = True
    domain = LAM
    lam: float | Tensor = 0.1

    @property
    def pools(self) -> str:
        """``run``, and ``word`` at λ = 0."""
        return "word" if is_number(self.lam, 0) else "run"

    def value(self, weights: Tensor, valid: Tensor) -> Tensor:
        """½‖y‖² + λΣ|y_{i+1} − y_i|, ``[rows]``."""
        return (0.5 * weights.square() + self.lam * _jumps(weights, valid).abs()).sum(-1)

    def vertex(self, index: Tensor, valid: Tensor) -> Tensor:
        """½ + λ for each valid neighbor of the vertex: 2 inside the row, 1 at its border."""
        position = torch.arange(valid.shape[-1], device=valid.device)
        left = (valid & (position < index[:, None])).any(-1)
        right = (valid & (position > index[:, None])).any(-1)
        return (0.5 + self.lam * (left.double() + right.double())[:, None])[:, 0]

    def argmax(self, values: Tensor, valid: Tensor) -> Tensor:
        """P_Δ(prox_{λTV}(x)): the two steps compose exactly.

        The prox moves no value by more than 2λ, so values below −1 − 4λ cannot be in the support.
        What they leave is stretches that decouple: towards such a lower neighbor, an end of a
        stretch is drawn down by λ.
        """
        if is_number(self.lam, 0):
            return SquaredNorm().argmax(values, valid)
        position, first, last = _neighbors(valid)
        x, lam = values.flatten()[position].double(), self._at(position, valid)
        near = x >= -1 - 4 * lam
        starts = near & (first | ~near.roll(1))
        ends = near & (last | ~near.roll(-1))
        x = x - lam * ((starts & ~first).double() + (ends & ~last).double())
        prox = values.new_full((values.numel(),), -torch.inf, dtype=torch.float64)
        prox[position[near]] = taut_string(x[near], starts[near], lam[near], lam[near])
        return simplex.project(prox.view_as(values)).to(values.dtype)

    def jacobian_product(self, weights: Tensor, valid: Tensor, vectors: Tensor) -> Tensor:
        """The mean of v over each run of equal weights less that over the support, on it."""
        if not is_number(self.lam, 0):
            position, first, _ = _neighbors(valid)
            y = weights.detach().flatten()[position]
            apart = first | (y != y.roll(1)) | (self._at(position, valid) == 0)
            run = apart.cumsum(0) - 1
            means = piece_means(vectors.flatten()[position], run)
            vectors = torch.zeros_like(vectors.flatten()).index_copy(0, position, means)
            vectors = vectors.view_as(weights)
        return SquaredNorm().jacobian_product(weights, valid, vectors)

    def parameter_product(self, weights: Tensor, valid: Tensor, vectors: Tensor) -> Tensor:
        """Σ sign(y_{i+1} − y_i)·(v_{i+1} − v_i)."""
        return (_jumps(weights, valid).sign() * _jumps(vectors, valid)).sum(-1)

    def relative(self, others: Tensor) -> tuple[Self, Tensor]:
        """Sparsemax's κ: λ, a share of the weight, is the same for rows of any length."""
        return self, SquaredNorm().relative(others)[1]

    def _at(self, position: Tensor, valid: Tensor) -> Tensor:
        """The λ of the row of each of the flattened positions."""
        lam = torch.as_tensor(self.lam, dtype=torch.float64, device=valid.device)
        return lam.expand(valid.shape).flatten()[position]


def _jumps(rows: Tensor, valid: Tensor) -> Tensor:
    """Each value less its valid neighbor on the left, ``[rows, length]``; 0 without one."""
    position = torch.arange(rows.shape[-1], device=rows.device)
    latest = torch.where(valid, position, -1).cummax(-1).values
    before = torch.nn.functional.pad(latest, (1, 0), value=-1)[:, :-1]
    jumps = rows - rows.gather(-1, before.clamp(min=0))
    return jumps.masked_fill(~valid | (before < 0), 0.0)


def _neighbors(valid: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The valid positions of all rows in a line, masked ones taken out.

    Returns:
        Three of ``[positions]``: where each stands in the flattened rows, and whether it is the
        first, and the last, of its row.
    """
    position = valid.flatten().nonzero()[:, 0]
    row = position.div(max(valid.shape[-1], 1), rounding_mode="floor")
    change = torch.ones(len(row) + 1, dtype=torch.bool, device=row.device)
    change[1:-1] = row[1:] != row[:-1]
    return position, change[:-1], change[1:]


def fusedmax(
    scores: Tensor,
    mask: Tensor | None = None,
    dim: int = -1,
    *,
    gamma: float | Tensor = 1.0,
    lam: float | Tensor = 0.1,
) -> Tensor:
    """Π(x) = argmax_y ⟨y, x⟩ − γ(½‖y‖² + λΣ|y_{i+1} − y_i|), the fused lasso on the simplex.

    Niculae and Blondel (2017).

    Masked positions are taken out of the row first: the two sides of a hole are neighbors.

    Args:
        scores: ``[..., length]`` of any float type.
        mask: bool, broadcastable to ``scores``, True = may be attended.
        dim: the dimension that the mapping works along.
        gamma: the strength γ > 0; larger is denser.
        lam: the strength λ ≥ 0 of fusion, relative to γ; 0 is sparsemax.

    Returns:
        Weights like ``scores``, many of them exactly 0, neighbors often exactly equal.

    Raises:
        TypeError: if ``scores`` are not floating point, or ``mask`` is not bool.
        ValueError: if a parameter is outside its domain, or it or ``mask`` does not broadcast.
    """
    return weights(TotalVariation.of(lam), scores, mask, dim, gamma)


class Fusedmax(Mapping):
    """:func:`fusedmax` as a module."""

    def __init__(
        self,
        gamma: float | Tensor = 1.0,
        lam: float | Tensor = 0.1,
        dim: int = -1,
        **learning: Unpack[Learning],
    ) -> None:
        super().__init__(TotalVariation(lam), gamma, dim, **learning)
