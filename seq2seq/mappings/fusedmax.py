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
    """The regularizer Ω(y) = ½‖y‖² + λΣ|y_{i+1} − y_i| over neighboring valid positions."""

    name = "fusedmax"
    of_holes = True
    neighbors = True
    piecewise_linear = True
    domain = LAM
    lam: float | Tensor = 0.1

    @property
    def pools(self) -> str:
        """Return ``run``, or ``word`` at λ = 0."""
        return "word" if is_number(self.lam, 0) else "run"

    def value(self, weights: Tensor, valid: Tensor) -> Tensor:
        """Return ½‖y‖² + λΣ|y_{i+1} − y_i|, ``[rows]``."""
        return (0.5 * weights.square() + self.lam * _jumps(weights, valid).abs()).sum(-1)

    def vertex(self, index: Tensor, valid: Tensor) -> Tensor:
        """Return ½ + λ for each valid neighbor of the vertex: 2 inside the row, 1 at its border."""
        position = torch.arange(valid.shape[-1], device=valid.device)
        left = (valid & (position < index[:, None])).any(-1)
        right = (valid & (position > index[:, None])).any(-1)
        return (0.5 + self.lam * (left.double() + right.double())[:, None])[:, 0]

    def argmax(self, values: Tensor, valid: Tensor) -> Tensor:
        """Return P_Δ(prox_{λTV}(x)); the two steps compose exactly.

        The prox moves no value by more than 2λ, so values below −1 − 4λ cannot be in the support.
        Removing them leaves stretches that do not depend on each other. Next to such a removed,
        lower neighbor, the end of a stretch decreases by λ.
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
        """Return the mean of v over each run of equal weights, less its mean over the support.

        It is 0 outside the support.
        """
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
        """Return Σ sign(y_{i+1} − y_i)·(v_{i+1} − v_i)."""
        return (_jumps(weights, valid).sign() * _jumps(vectors, valid)).sum(-1)

    def relative(self, others: Tensor) -> tuple[Self, Tensor]:
        """Return λ unchanged, and sparsemax's κ.

        λ is a share of the weight, so it means the same for rows of any length.
        """
        return self, SquaredNorm().relative(others)[1]

    def _at(self, position: Tensor, valid: Tensor) -> Tensor:
        """Return the λ of each flattened position, which is that of its row."""
        lam = torch.as_tensor(self.lam, dtype=torch.float64, device=valid.device)
        return lam.expand(valid.shape).flatten()[position]


def _jumps(rows: Tensor, valid: Tensor) -> Tensor:
    """Return each value less its valid left neighbor, ``[rows, length]``; 0 if it has none."""
    position = torch.arange(rows.shape[-1], device=rows.device)
    latest = torch.where(valid, position, -1).cummax(-1).values
    before = torch.nn.functional.pad(latest, (1, 0), value=-1)[:, :-1]
    jumps = rows - rows.gather(-1, before.clamp(min=0))
    return jumps.masked_fill(~valid | (before < 0), 0.0)


def _neighbors(valid: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the valid positions of all rows as one sequence, without the masked ones.

    Returns:
        Three tensors ``[positions]``: the index of each position in the flattened rows, and whether
        it is the first, and the last, valid position of its row.
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
    """Return Π(x) = argmax_y ⟨y, x⟩ − γ(½‖y‖² + λΣ|y_{i+1} − y_i|): fused lasso on the simplex.

    Source: Niculae and Blondel (2017).

    Masked positions are removed from the row first, so the positions on both sides of a masked
    stretch are neighbors.

    Args:
        scores: ``[..., length]`` of any float type.
        mask: bool, broadcastable to ``scores``, True = may be attended.
        dim: the dimension along which the mapping is computed.
        gamma: the strength γ > 0; larger values give denser weights.
        lam: the strength λ ≥ 0 of fusion, relative to γ; 0 is sparsemax.

    Returns:
        Weights like ``scores``; many are exactly 0, and neighbors are often exactly equal.

    Raises:
        TypeError: if ``scores`` are not floating point, or ``mask`` is not bool.
        ValueError: if a parameter is outside its domain, or if it or ``mask`` does not broadcast.
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
