"""Sparsemax, compiled: projection onto the simplex, y = (x − τ)_+ with Σy = 1."""

# What is compiled is typed by the compiler, not by annotations.
# mypy: disable-error-code="no-untyped-def"

from numba import carray

from seq2seq.mappings.cpu.compilation import PADDED, VALUES, jit, sums_above


def reach(theta, length):
    """How far below the largest score the support can reach: τ ≥ max x − 1."""
    return 1.0


@jit
def threshold(x, count):
    """The τ of Σ(x − τ)_+ = 1, for a row whose candidates are ``x``, padded.

    Newton's method from below: the sum is convex in τ, so τ only grows; when it does not, it is
    exact.
    """
    tau = -1e299
    while True:
        active, total, _ = sums_above(x, count, tau)
        larger = (total - 1.0) / active if active > 0.0 else tau
        if not larger > tau:
            return tau
        tau = larger


@jit
def project(x, count, y):
    """(x − τ)_+ into ``y``."""
    tau = threshold(x, count)
    for i in range(count):
        y[i] = max(x[i] - tau, 0.0)


def solve(values, _, places, count, length, theta, result, work, order, asked):
    """Weights; returns ⟨y, x⟩ − ½‖y‖² if wanted."""
    x, y = carray(values, count + PADDED), carray(result, count)
    project(x, count, y)
    value = 0.0
    if asked & VALUES:
        for i in range(count):
            value += y[i] * (x[i] - 0.5 * y[i])
    return value


def product(weights, vectors, places, count, length, theta, result, work, order, _):
    """J·v = v − mean of v, on the support."""
    v, u = carray(vectors, count), carray(result, count)
    mean = 0.0
    for i in range(count):
        mean += v[i]
    mean /= count
    for i in range(count):
        u[i] = v[i] - mean
    return 0.0
