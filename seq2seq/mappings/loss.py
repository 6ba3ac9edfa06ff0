"""Fenchel–Young losses L(x; y) = max_Ω(x) + γΩ(y) − ⟨x, y⟩ (Blondel, Martins and Niculae, 2020).

The smoothed max is in double precision, so that its difference from ⟨x, y⟩ is exact even if both
are large.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from seq2seq.mappings import implementations, operators
from seq2seq.mappings.regularizer import Regularizer
from seq2seq.mappings.rows import flatten


def _mean(losses: Tensor, counted: Tensor | None) -> Tensor:
    """Return the mean over the rows that are not ignored; 0 if all are."""
    total = losses.sum()
    return total / (max(losses.numel(), 1) if counted is None else counted.sum().clamp(min=1))


# Each function takes the losses, 0 for ignored rows, and which rows are not ignored.
REDUCTIONS: dict[str, Callable[[Tensor, Tensor | None], Tensor]] = {
    "none": lambda losses, _: losses,
    "sum": lambda losses, _: losses.sum(),
    "mean": _mean,
}


def check_options(label_smoothing: float, reduction: str = "none") -> None:
    """Raise ``ValueError`` if an option is out of range or unknown."""
    if not 0.0 <= label_smoothing < 1.0:
        raise ValueError(f"label_smoothing={label_smoothing} must be at least 0 and less than 1")
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction={reduction!r} must be one of {', '.join(REDUCTIONS)}")


def distribution_loss(
    omega: Regularizer,
    scores: Tensor,
    target: Tensor,
    mask: Tensor | None,
    dim: int,
    gamma: float | Tensor,
    smoothing: float,
) -> Tensor:
    """Return the loss of distributions, float64; inf if one has mass on a masked position."""
    x, mask, call = operators.prepare(omega, scores, mask, dim, gamma)
    rows, y = flatten(x), flatten(target, dim).to(x.dtype)
    valid = implementations.valid_rows(x, x, mask)
    if smoothing:
        count = valid.sum(-1, keepdim=True).clamp(min=1)
        y = (1 - smoothing) * y + torch.where(valid, smoothing / count, 0.0).to(y.dtype)
    best = rows.detach().masked_fill(~valid, -math.inf).amax(-1, keepdim=True)
    product = (y * torch.where(valid, rows - best, 0.0)).sum(-1, dtype=torch.float64) + best[:, 0]
    row_omega, strength = call.laid_out(x.dtype)
    strength = strength[:, 0] if isinstance(strength, Tensor) else strength
    loss = operators.maximum_of(x, mask, call) + strength * row_omega.value(y, valid) - product
    loss = loss.masked_fill(((y > 0) & ~valid).any(-1), math.inf)
    loss = loss.masked_fill(~valid.any(-1), 0.0)
    return (loss - loss.detach().clamp(max=0.0)).reshape(x.shape[:-1])
