"""Thresholds: the τ or c at which the weights of a row sum to 1, by Newton's method.

Except for :func:`linear`, the largest score of a row has to be 0.
"""

# numba infers the types of compiled functions, so they have no annotations.
# mypy: disable-error-code="no-untyped-def"

import math

from seq2seq.mappings.cpu.compilation import finite, jit
from seq2seq.mappings.cpu.powers import exp, log1p

CLOSE = 1e-13  # a sum as near to 1 as this is corrected by the slope


@finite
def sums_above(x, tau):
    """Return the number of the x > τ, their sum, and the sum of their squares."""
    number, total, squares = 0.0, 0.0, 0.0
    for i in range(len(x)):
        inside = x[i] > tau
        number += 1.0 if inside else 0.0
        total += x[i] if inside else 0.0
        squares += x[i] * x[i] if inside else 0.0
    return number, total, squares


@jit
def linear(x):
    """Return the τ of Σ(x − τ)_+ = 1.

    The sum is convex in τ, so that Newton's method from below never decreases τ. When τ no longer
    grows, it is exact.
    """
    tau = -1e299
    while True:
        number, total, _ = sums_above(x, tau)
        larger = (total - 1.0) / number
        if not larger > tau:
            return tau
        tau = larger


@jit
def project(x, y):
    """Write (x − τ)_+, the projection of x onto the simplex."""
    tau = linear(x)
    for i in range(len(x)):
        y[i] = max(x[i] - tau, 0.0)


@jit
def quadratic(x):
    """Return the τ of Σ(x − τ)²_+ = 1.

    On a given support τ is a root of a quadratic equation, which is exact if it leads to the same
    support. If not, Newton's method on the norm, which is convex, finds a better one from below.
    """
    tau = -1.0
    while True:
        number, total, squares = sums_above(x, tau)
        inner = total * total - number * (squares - 1.0)
        if inner >= 0.0:
            root = (total - math.sqrt(inner)) / number
            if sums_above(x, root)[0] == number:
                return root
        norm = math.sqrt(squares - tau * (2.0 * total - tau * number))
        step = (norm - 1.0) * norm / (total - tau * number)
        if not tau + step > tau:
            return tau
        tau += step


@finite
def powers_above(x, c, a, r, y, s):
    """Write y = v^r and s = v^{r − 1} of v = (1 + a(x − c))_+; return Σy and Σs."""
    total, slope = 0.0, 0.0
    for i in range(len(x)):
        z = a * (x[i] - c)
        inside = z > -1.0
        z = z if inside else 0.0
        inverse = 1.0 / (1.0 + z)
        raised = exp(log1p(z, inverse) * r)
        y[i] = raised if inside else 0.0
        s[i] = raised * inverse if inside else 0.0
        total += y[i]
        slope += s[i]
    return total, slope


@jit
def power(x, a, r, y, s):
    """Find the c of Σy = 1, y = (1 + a(x − c))_+^r; write y and s = (1 + a(x − c))_+^{r − 1}.

    Newton's method on the norm (Σy)^{1/r}, which is nearly straight, and convex if r ≥ 1; bisection
    if a step leaves the bounds or does not halve the error. The largest y is between 0 and 1, so
    that c is between 0 and 1/a.
    """
    low, high, c, error = 0.0, 1.0 / a, 0.0, math.inf
    total, slope = 1.0, 1.0
    for _ in range(100):
        total, slope = powers_above(x, c, a, r, y, s)
        before, error = error, abs(total - 1.0)
        if error <= CLOSE or high - low <= 2e-16 * high:
            break
        if total > 1.0:
            low = c
        else:
            high = c
        step = -math.expm1(-math.log(max(total, 1e-300)) / r) / a * total / max(slope, 1e-300)
        trusted = low <= c + step <= high and error <= 0.5 * before
        c = c + step if trusted else 0.5 * (low + high)
    if error > CLOSE:  # no c is close enough, because y is steep where it vanishes
        c = low
        total, slope = powers_above(x, c, a, r, y, s)
    excess = (total - 1.0) / max(slope, 0.5)
    for i in range(len(x)):
        y[i] = max(y[i] - s[i] * excess, 0.0)
    return c
