"""The norm ‖y‖_p of rows of weights y ≥ 0, with derivatives in y and p also where y is 0."""

import torch
from torch import Tensor


def power_norm(y: Tensor, p: float | Tensor) -> Tensor:
    """Return ‖y‖_p, ``[rows, 1]``; 1 for an empty row, because 0 would have no derivative."""
    total = _powers(y, p).sum(-1, keepdim=True)
    return torch.where(total > 0, total, 1.0).pow(1 / p)


def logarithmic_slope(y: Tensor, p: float | Tensor) -> Tensor:
    """Return ∂(log ‖y‖_p)/∂p = (Σ (y/n)^p·log y − log n)/p with n = ‖y‖_p, ``[rows, 1]``."""
    n = power_norm(y, p)
    logarithm = torch.where(y > 0, y, 1.0).log()
    return ((_powers(y / n, p) * logarithm).sum(-1, keepdim=True) - n.log()) / p


def _powers(y: Tensor, p: float | Tensor) -> Tensor:
    """Return y^p; the derivative of 0^p in p is 0, not the NaN of log 0."""
    positive = y > 0
    return torch.where(positive, torch.where(positive, y, 1.0).pow(p), 0.0)
