"""Entmax: y = (1 + (α − 1)(x − c))_+^{1/(α − 1)} with Σy = 1."""

# numba infers the types of compiled functions, so they have no annotations.
# mypy: disable-error-code="no-untyped-def"

import math
from typing import NamedTuple

import numpy as np

from seq2seq.mappings.cpu import thresholds
from seq2seq.mappings.cpu.compilation import finite, jit, part
from seq2seq.mappings.cpu.powers import exp, power
from seq2seq.mappings.cpu.scan import collect

LEAST = 745.0  # exp(−745) is 0
SOFTMAX = 1e-13  # α − 1 up to here makes no difference
MANY = 512  # from so many candidates on, solve for the largest of them first
NEAR = 1.75  # how far down these reach
STEEPEST = 2.0**52  # the largest slope; the derivative is unbounded where y → 0 if α > 2


def reach(alpha, length):
    """Return 1/(α − 1): y > 0 needs x − c > −1/(α − 1), and c ≥ max x."""
    with np.errstate(divide="ignore"):
        return np.minimum(1.0 / (alpha - 1.0), LEAST)


class Work(NamedTuple):
    """Memory for a row.

    Attributes:
        near: the candidates that are solved for.
        kept: which these are.
        y: their weights.
        s: the slope of each, −dy/dc.
    """

    near: np.ndarray
    kept: np.ndarray
    y: np.ndarray
    s: np.ndarray


@part
def workspace(length):
    """Allocate memory for a row."""
    return Work(np.empty(length), np.empty(length, np.int64), np.empty(length), np.empty(length))


@part
def solve(x, place, length, alpha, y, work, wanted):
    """Write the weights; return ⟨y, x⟩ − Σ(y^α − y)/(α(α − 1))."""
    a = alpha - 1.0
    if alpha == 1.5:
        half = work.near[: len(x)]
        half[:] = 0.5 * x
        tau = thresholds.quadratic(half)
        for i in range(len(x)):
            y[i] = max(half[i] - tau, 0.0) ** 2
    elif alpha == 2.0:
        thresholds.project(x, y)
    elif a <= SOFTMAX:
        softmax(x, y)
    else:
        solve_any(x, a, y, work.near, work.kept, work.y, work.s)
    return objective(x, y, a) if wanted else 0.0


@finite
def softmax(x, y):
    """Write the limit α → 1."""
    total = 0.0
    for i in range(len(x)):
        y[i] = exp(x[i])
        total += y[i]
    for i in range(len(x)):
        y[i] /= total


@jit
def solve_any(x, a, result, near, kept, y, s):
    """Write the weights for any α, from the candidates that can have one.

    More candidates only increase the c of Σy = 1. So the c of the largest candidates alone is a
    lower bound, and nothing below c − 1/a has a weight: in a vocabulary, that is nearly everything.
    """
    span = NEAR if len(x) >= MANY else LEAST + 1.0
    while True:
        count = collect(x, -span, kept)
        for i in range(count):
            near[i] = x[kept[i]]
        c = thresholds.power(near[:count], a, 1.0 / a, y, s)
        needed = (1.0 / a - c) * (1.0 + 1e-9) + 1e-9
        if count == len(x) or needed <= span:
            break
        span = needed
    result[:] = 0.0
    for i in range(count):
        result[kept[i]] = y[i]


@finite
def objective(x, y, a):
    """⟨y, x⟩ − Σ(y^α − y)/(α(α − 1)) at the optimum, where (y^a − 1)/a = x − c on the support."""
    product, total, largest = 0.0, 0.0, 0.0
    for i in range(len(x)):
        product += y[i] * x[i]
        total += y[i]
        largest = max(largest, y[i])
    grown = math.log(largest)  # the weight of x = 0
    c = -grown if a <= SOFTMAX else -math.expm1(a * grown) / a
    return (a * product + c * total) / (1.0 + a)


@finite
def slopes(y, exponent, s):
    """Write y^{2 − α} of the support."""
    for i in range(len(y)):
        s[i] = min(power(y[i], exponent), STEEPEST)


@part
def product(y, v, place, alpha, u, work):
    """Write J·v = s∘(v − ⟨s, v⟩/Σs) with s = y^{2 − α} on the support."""
    s = work.s[: len(y)]
    if alpha == 1.5:
        s[:] = np.sqrt(y)
    else:
        slopes(y, 2.0 - alpha, s)
    center(s, v, u)


@finite
def center(s, v, u):
    """Write s∘(v − ⟨s, v⟩/Σs)."""
    total, mean = 0.0, 0.0
    for i in range(len(v)):
        total += s[i]
        mean += s[i] * v[i]
    mean /= total
    for i in range(len(v)):
        u[i] = s[i] * (v[i] - mean)
