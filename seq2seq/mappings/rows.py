"""Scores of any shape as rows: the steps that all mappings need before and after their own formula.

A mapping of strength γ depends only on (x − max x)/γ, so a row holds these values. Subtracting the
maximum first keeps float32 exact for large scores.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from seq2seq.mappings.domain import GAMMA


@dataclass(frozen=True)
class Rows:
    """The rows of a tensor of scores, and what is needed to restore the shape and type of a result.

    Attributes:
        values: ``[rows, length]`` float32 or float64, (x − max x)/γ; −inf where masked, so an empty
            row is all −inf.
        valid: ``[rows, length]`` bool, True where a score may be attended.
        maximum: ``[rows]``, the largest valid score, 0 for an empty row. NaN or inf marks a row
            whose result is NaN.
        gamma: the strength γ, a number or ``[rows]``.
        shape: the shape of the scores, with the mapped dimension last.
        dim: the dimension along which the mapping is computed.
        dtype: the type of the scores.
    """

    values: Tensor
    valid: Tensor
    maximum: Tensor
    gamma: float | Tensor
    shape: torch.Size
    dim: int
    dtype: torch.dtype

    @cached_property
    def empty(self) -> Tensor:
        """Return ``[rows]`` bool, True for a row without valid positions."""
        return ~self.valid.any(-1)

    @property
    def poison(self) -> Tensor:
        """Return ``[rows]``: 0 for an ordinary row, NaN for a row that contains NaN or +inf."""
        return self.maximum * 0

    def restore(self, weights: Tensor) -> Tensor:
        """Return ``[rows, length]`` weights in the shape and type of the scores."""
        weights = weights + self.poison[:, None]
        return weights.reshape(self.shape).movedim(-1, self.dim).to(self.dtype)


def as_rows(
    scores: Tensor, mask: Tensor | None = None, dim: int = -1, gamma: float | Tensor = 1.0
) -> Rows:
    """Return ``scores`` ``[..., length, ...]`` as rows along ``dim``; −inf counts as masked."""
    check_scores(scores)
    shape = scores.movedim(dim, -1).shape
    x = flatten(scores, dim)
    if mask is not None:
        x = x.masked_fill(~flatten(broadcast_mask(mask, scores), dim), -math.inf)
    maximum = x.detach().amax(-1) if x.shape[-1] else x.new_full(x.shape[:1], -math.inf)
    valid = x.detach().isfinite()
    values = x - maximum.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)[:, None]
    if isinstance(gamma, Tensor):
        gamma = GAMMA.of_rows(gamma, shape, dim).to(x.dtype)
        # Replace −inf before the division, because it would make γ's gradient NaN.
        values = values.masked_fill(~valid, 0.0) / gamma[:, None]
    else:
        GAMMA.check(gamma)
        values = values if gamma == 1.0 else values / gamma
    # Treat a row with NaN or +inf like any other here; ``restore`` sets its result to NaN.
    values = values.masked_fill(~valid, -math.inf)
    maximum = maximum.masked_fill(maximum == -math.inf, 0.0)
    return Rows(values, valid, maximum, gamma, shape, dim, scores.dtype)


def flatten(x: Tensor, dim: int = -1) -> Tensor:
    """Return ``[..., length, ...]`` as ``[rows, length]``, with half precision as float32."""
    x = widened(x).movedim(dim, -1)
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def widened(x: Tensor) -> Tensor:
    """Return half-precision tensors as float32, and others unchanged."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def broadcast_mask(mask: Tensor, scores: Tensor) -> Tensor:
    """Return ``mask`` in the shape of ``scores``.

    Raises:
        TypeError: if the mask is not bool.
        ValueError: if it does not broadcast to the scores.
    """
    if mask.dtype != torch.bool:
        raise TypeError(
            f"mask must be bool (True = may be attended), not {mask.dtype}; pass mask.bool()"
        )
    try:
        return mask.broadcast_to(scores.shape)
    except RuntimeError:
        raise ValueError(
            f"mask of shape {tuple(mask.shape)} does not broadcast to scores of shape "
            f"{tuple(scores.shape)}; add dimensions of size 1 where they differ"
        ) from None


def check_scores(scores: Tensor) -> None:
    """Raise ``TypeError`` if the scores are not floating point."""
    if not scores.is_floating_point():
        raise TypeError(f"scores must be floating point, not {scores.dtype}; pass scores.float()")
