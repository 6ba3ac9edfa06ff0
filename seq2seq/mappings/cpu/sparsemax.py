"""Sparsemax: the projection onto the simplex, y = (x − τ)_+ with Σy = 1."""

# numba infers the types of compiled functions, so they have no annotations.
# mypy: disable-error-code="no-untyped-def"

import numpy as np

from seq2seq.mappings.cpu.compilation import part
from seq2seq.mappings.cpu.thresholds import project


def reach(theta, length):
    """Return 1, since τ ≥ max x − 1."""
    return np.ones_like(theta)


@part
def workspace(length):
    """Return an array, which is not used."""
    return np.empty(0)


@part
def solve(x, place, length, theta, y, work, wanted):
    """Write the weights; return ⟨y, x⟩ − ½‖y‖²."""
    project(x, y)
    value = 0.0
    if wanted:
        for i in range(len(x)):
            value += y[i] * (x[i] - 0.5 * y[i])
    return value


@part
def product(y, v, place, theta, u, work):
    """Write J·v = v − mean of v, on the support."""
    mean = v.sum() / len(v)
    for i in range(len(v)):
        u[i] = v[i] - mean
