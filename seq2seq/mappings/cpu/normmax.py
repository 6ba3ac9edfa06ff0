"""Normmax, compiled: y ∝ (x − τ)_+^{1/(p − 1)} with ‖(x − τ)_+‖_q = 1, q = p/(p − 1)."""

# What is compiled is typed by the compiler, not by annotations.
# mypy: disable-error-code="no-untyped-def"

from numba import carray

from seq2seq.mappings.cpu.compilation import PADDED, VALUES, finite
from seq2seq.mappings.cpu.entmax import root_of_squares
from seq2seq.mappings.cpu.powers import exp, log, power
from seq2seq.mappings.cpu.scan import padded


def reach(p, length):
    """τ ≥ max x − 1."""
    return 1.0


@finite
def sums(x, count, tau, q, z):
    """Σv^q and Σv^{q−1} of v = (x − τ)_+; v^{q−1} goes to ``z``. All are padded."""
    total, slope = 0.0, 0.0
    for i in range(padded(count)):
        v = x[i] - tau
        inside = v > 1e-300
        v = v if inside else 1.0
        raised = v * v if q == 3.0 else exp((q - 1.0) * log(v))
        z[i] = raised if inside else 0.0
        slope += z[i]
        total += z[i] * v
    return total, slope


@finite
def weigh(y, count):
    """Divide by the sum."""
    total = 0.0
    for i in range(count):
        total += y[i]
    for i in range(count):
        y[i] /= total


def solve(values, _, places, count, length, p, result, work, order, asked):
    """Weights; returns ⟨y, x⟩ − ‖y‖_p if wanted.

    ‖(x − τ)_+‖_q is convex in τ: Newton's method from below, where the largest x alone has norm 1.
    """
    x, y = carray(values, count + PADDED), carray(result, count + PADDED)
    q = p / (p - 1.0)
    if p == 2.0:
        tau = root_of_squares(x, count)
        for i in range(count):
            y[i] = max(x[i] - tau, 0.0)
    else:
        tau = -1.0
        for _k in range(100):
            total, slope = sums(x, count, tau, q, y)
            norm = total ** (1.0 / q)
            step = (norm - 1.0) * (total / norm) / slope
            if not step > 1e-15 * -tau:
                break
            tau += step
    weigh(y, count)
    value = 0.0
    if asked & VALUES:
        norm = 0.0
        for i in range(count):
            value += y[i] * x[i]
            norm += y[i] ** p if y[i] > 0.0 else 0.0
        value -= norm ** (1.0 / p)
    return value


@finite
def slopes(y, count, n, exponent, s):
    """(y/n)^{2 − p} of the support, at most 2⁵²; padded."""
    for i in range(padded(count)):
        s[i] = min(power(y[i] / n, exponent), 4503599627370496.0)


@finite
def power_sum(y, count, p):
    """Σy^p."""
    total = 0.0
    for i in range(padded(count)):
        total += power(y[i], p)
    return total


def product(weights, vectors, places, count, length, p, result, work, order, _):
    """n/(p − 1)·(s∘(v − ⟨y, v⟩) − y·Σ s∘(v − ⟨y, v⟩)), s = (y/n)^{2−p}, n = ‖y‖_p."""
    y, v = carray(weights, count + PADDED), carray(vectors, count)
    u, s = carray(result, count), carray(work, count + PADDED)
    n = power_sum(y, count, p) ** (1.0 / p)
    slopes(y, count, n, 2.0 - p, s)
    mean, total = 0.0, 0.0
    for i in range(count):
        mean += y[i] * v[i]
    for i in range(count):
        u[i] = s[i] * (v[i] - mean)
        total += u[i]
    scale = n / (p - 1.0)
    for i in range(count):
        u[i] = scale * (u[i] - y[i] * total)
    return 0.0
