"""Squared p-norm: y ∝ (x − τ)_+^{1/(p − 1)}."""

# numba infers the types of compiled functions, so they have no annotations.
# mypy: disable-error-code="no-untyped-def"

import math

import numpy as np

from seq2seq.mappings.cpu.compilation import finite, jit, part
from seq2seq.mappings.cpu.normmax import power_sum, product_of
from seq2seq.mappings.cpu.powers import exp, log, power
from seq2seq.mappings.cpu.thresholds import project


def reach(p, length):
    """Return 1, since τ ≥ max x − 1."""
    return np.ones_like(p)


@part
def workspace(length):
    """Allocate an array for a row."""
    return np.empty(length)


@finite
def sums(x, m, r, z):
    """Write z = v^r of v = (1 + x/m)_+; return Σv^r, Σv^{r+1}, and what their derivatives need."""
    first, second, first_slope, second_slope = 0.0, 0.0, 0.0, 0.0
    inverse = 1.0 / m
    for i in range(len(x)):
        v = 1.0 + x[i] * inverse
        inside = v > 1e-300
        v = v if inside else 1.0
        raised = v * v if r == 2.0 else exp(r * log(v))
        raised = raised if inside else 0.0
        z[i] = raised
        growth = (1.0 - v) * inverse  # dv/dm
        first += raised
        second += raised * v
        first_slope += raised / v * growth
        second_slope += raised * growth
    return first, second, first_slope, second_slope


@jit
def root(x, p, z):
    """Write the z of the optimum, whose sum is not yet 1.

    Optimality asks Σz = ‖z‖_p^{2 − p} for z = (x − τ)_+^r, r = 1/(p − 1). With v = (x − τ)_+/m and
    m = −τ, so that the largest v is 1, it is log m + log Σv^r − (2 − p)/p · log Σv^{r+1} = 0.
    """
    r, share = 1.0 / (p - 1.0), (2.0 - p) / p
    low, high = len(x) ** (share * (1.0 - p) - (p - 1.0)), 1.0
    m, error = high, math.inf
    for _ in range(100):
        first, second, first_slope, second_slope = sums(x, m, r, z)
        value = math.log(m) + math.log(first) - share * math.log(second)
        slope = 1.0 / m + r * first_slope / first - share * (r + 1.0) * second_slope / second
        if value > 0.0:
            high = m
        else:
            low = m
        before, error = error, abs(value)
        if error <= 1e-13 or high - low <= 1e-16 * high:
            break
        step = value / slope
        trusted = low <= m - step <= high and error <= 0.5 * before
        m = m - step if trusted else 0.5 * (low + high)


@part
def solve(x, place, length, p, y, work, wanted):
    """Write the weights; return ⟨y, x⟩ − ½‖y‖_p²."""
    if p == 2.0:
        project(x, y)
    else:
        root(x, p, y)
        y /= y.sum()
    return product_of(x, y) - 0.5 * power_sum(y, p) ** (2.0 / p) if wanted else 0.0


@finite
def slopes(y, exponent, s):
    """Write y^{2 − p} of the support."""
    for i in range(len(y)):
        s[i] = power(y[i], exponent)


@part
def product(y, v, place, p, u, work):
    """Write H⁻¹v − H⁻¹1·⟨1, H⁻¹v⟩/⟨1, H⁻¹1⟩, with H the Hessian of Ω on the support.

    H⁻¹ = (diag(s) − (2 − p)·n^{−p}·y yᵀ) / ((p − 1)·n^{2−p}), s = y^{2−p}, n = ‖y‖_p.
    """
    s = work[: len(y)]
    slopes(y, 2.0 - p, s)
    total_power, along, ones = 0.0, product_of(v, y), y.sum()
    for i in range(len(y)):
        total_power += y[i] * y[i] / s[i]
    bend = (2.0 - p) / total_power
    scale = 1.0 / ((p - 1.0) * total_power ** ((2.0 - p) / p))
    for i in range(len(y)):
        u[i] = s[i] * v[i] - bend * y[i] * along
        s[i] -= bend * y[i] * ones
    ratio = u.sum() / s.sum()
    for i in range(len(y)):
        u[i] = scale * (u[i] - s[i] * ratio)
