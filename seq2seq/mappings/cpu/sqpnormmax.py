"""Squared p-norm, compiled: y ∝ (x − τ)_+^{1/(p − 1)}."""

# What is compiled is typed by the compiler, not by annotations.
# mypy: disable-error-code="no-untyped-def"

import math

from numba import carray

from seq2seq.mappings.cpu.compilation import PADDED, VALUES, finite, jit
from seq2seq.mappings.cpu.powers import exp, log, power
from seq2seq.mappings.cpu.scan import padded
from seq2seq.mappings.cpu.sparsemax import project


def reach(p, length):
    """τ ≥ max x − 1."""
    return 1.0


@finite
def sums(x, count, m, r, z):
    """Σv^r, Σv^{r+1}, and what their derivatives need, of v = (1 + x/m)_+; v^r goes to ``z``."""
    first, second, first_slope, second_slope = 0.0, 0.0, 0.0, 0.0
    inverse = 1.0 / m
    for i in range(padded(count)):
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
def root(x, count, p, z):
    """The z of the optimum, not yet of sum 1.

    Optimality asks Σz = ‖z‖_p^{2 − p} for z = (x − τ)_+^r, r = 1/(p − 1). In v = (x − τ)_+/m,
    m = −τ, whose largest is 1, it is log m + log Σv^r − (2 − p)/p · log Σv^{r+1} = 0.
    """
    r, share = 1.0 / (p - 1.0), (2.0 - p) / p
    low, high = count ** (share * (1.0 - p) - (p - 1.0)), 1.0
    m, before = high, math.inf
    for _ in range(100):
        first, second, first_slope, second_slope = sums(x, count, m, r, z)
        value = math.log(m) + math.log(first) - share * math.log(second)
        slope = 1.0 / m + r * first_slope / first - share * (r + 1.0) * second_slope / second
        if value > 0.0:
            high = m
        else:
            low = m
        if abs(value) <= 1e-13 or high - low <= 1e-16 * high:
            break
        step = value / slope
        trusted = low <= m - step <= high and abs(value) <= 0.5 * before
        before = abs(value)
        m = m - step if trusted else 0.5 * (low + high)


def solve(values, _, places, count, length, p, result, work, order, asked):
    """Weights; returns ⟨y, x⟩ − ½‖y‖_p² if wanted."""
    x, y = carray(values, count + PADDED), carray(result, count + PADDED)
    if p == 2.0:
        project(x, count, y)
    else:
        root(x, count, p, y)
        total = 0.0
        for i in range(count):
            total += y[i]
        for i in range(count):
            y[i] /= total
    value = 0.0
    if asked & VALUES:
        norm = 0.0
        for i in range(count):
            value += y[i] * x[i]
            norm += y[i] ** p if y[i] > 0.0 else 0.0
        value -= 0.5 * norm ** (2.0 / p)
    return value


@finite
def slopes(y, count, exponent, s):
    """y^{2 − p} of the support, padded."""
    for i in range(padded(count)):
        s[i] = power(y[i], exponent)


def product(weights, vectors, places, count, length, p, result, work, order, _):
    """H⁻¹v − H⁻¹1·⟨1, H⁻¹v⟩/⟨1, H⁻¹1⟩, with H the Hessian of Ω on the support.

    H⁻¹ = (diag(s) − (2 − p)·n^{−p}·y yᵀ) / ((p − 1)·n^{2−p}), s = y^{2−p}, n = ‖y‖_p.
    """
    y, v = carray(weights, count + PADDED), carray(vectors, count)
    u, s = carray(result, count), carray(work, count + PADDED)
    slopes(y, count, 2.0 - p, s)
    power_sum, along, ones = 0.0, 0.0, 0.0
    for i in range(count):
        power_sum += y[i] * y[i] / s[i]
        along += y[i] * v[i]
        ones += y[i]
    bend = (2.0 - p) / power_sum
    scale = 1.0 / ((p - 1.0) * power_sum ** ((2.0 - p) / p))
    total, of_ones = 0.0, 0.0
    for i in range(count):
        u[i] = s[i] * v[i] - bend * y[i] * along
        s[i] -= bend * y[i] * ones
        total += u[i]
        of_ones += s[i]
    for i in range(count):
        u[i] = scale * (u[i] - s[i] * total / of_ones)
    return 0.0
