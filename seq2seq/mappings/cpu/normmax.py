"""Normmax: y ∝ (x − τ)_+^{1/(p − 1)} with ‖(x − τ)_+‖_q = 1, q = p/(p − 1)."""

# numba infers the types of compiled functions, so they have no annotations.
# mypy: disable-error-code="no-untyped-def"

import numpy as np

from seq2seq.mappings.cpu import thresholds
from seq2seq.mappings.cpu.compilation import finite, part
from seq2seq.mappings.cpu.entmax import STEEPEST
from seq2seq.mappings.cpu.powers import power


def reach(p, length):
    """Return 1, since τ ≥ max x − 1."""
    return np.ones_like(p)


@part
def workspace(length):
    """Allocate an array for a row."""
    return np.empty(length)


@part
def solve(x, place, length, p, y, work, wanted):
    """Write the weights; return ⟨y, x⟩ − ‖y‖_p."""
    if p == 2.0:
        tau = thresholds.quadratic(x)
        for i in range(len(x)):
            y[i] = max(x[i] - tau, 0.0)
    else:  # with c = 1 + τ, Σ(1 + x − c)^q = 1, and the weights are as its slopes
        thresholds.power(x, 1.0, p / (p - 1.0), work, y)
    y /= y.sum()
    return product_of(x, y) - power_sum(y, p) ** (1.0 / p) if wanted else 0.0


@finite
def product_of(x, y):
    """Return ⟨y, x⟩."""
    total = 0.0
    for i in range(len(x)):
        total += y[i] * x[i]
    return total


@finite
def power_sum(y, p):
    """Return Σy^p."""
    total = 0.0
    for i in range(len(y)):
        total += power(y[i], p)
    return total


@finite
def slopes(y, n, exponent, s):
    """Write (y/n)^{2 − p} of the support."""
    for i in range(len(y)):
        s[i] = min(power(y[i] / n, exponent), STEEPEST)


@part
def product(y, v, place, p, u, work):
    """Write n/(p − 1)·(s∘(v − ⟨y, v⟩) − y·Σ s∘(v − ⟨y, v⟩)), s = (y/n)^{2−p}, n = ‖y‖_p."""
    s, n = work[: len(y)], power_sum(y, p) ** (1.0 / p)
    slopes(y, n, 2.0 - p, s)
    mean = product_of(v, y)
    for i in range(len(v)):
        u[i] = s[i] * (v[i] - mean)
    total, scale = u.sum(), n / (p - 1.0)
    for i in range(len(v)):
        u[i] = scale * (u[i] - y[i] * total)
