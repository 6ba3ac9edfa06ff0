"""The quotient q(z) = (e^z − 1)/z and its slope, exact near z = 0, where the formulas cancel."""

import math

import torch
from torch import Tensor

TERMS = 18  # of the series; for |z| < 1, the first omitted term is below 1e-17


def quotient(z: Tensor) -> Tensor:
    """Return q(z) = (e^z − 1)/z = Σ_k z^k/(k + 1)!, with q(0) = 1."""
    far = z.abs() >= 1
    safe = torch.where(far, z, 1.0)
    series = _series(torch.where(far, 0.0, z), [1 / math.factorial(k + 1) for k in range(TERMS)])
    return torch.where(far, torch.expm1(safe) / safe, series)


def quotient_slope(z: Tensor) -> Tensor:
    """Return q'(z) = (z·e^z − e^z + 1)/z² = Σ_k (k + 1)·z^k/(k + 2)!, with q'(0) = ½."""
    far = z.abs() >= 1
    safe = torch.where(far, z, 1.0)
    terms = [(k + 1) / math.factorial(k + 2) for k in range(TERMS)]
    series = _series(torch.where(far, 0.0, z), terms)
    return torch.where(far, (safe.exp() - torch.expm1(safe) / safe) / safe, series)


def _series(z: Tensor, coefficients: list[float]) -> Tensor:
    """Return Σ_k c_k·z^k, by Horner's rule."""
    total = torch.full_like(z, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = total * z + coefficient
    return total
