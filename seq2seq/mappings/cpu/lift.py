"""Thresholds from the largest scores alone, compiled: they tell how few candidates there are.

In entmax, y = (1 + a(x − c))_+^{1/a}, a = α − 1, a position counts if x > c − 1/a. More positions
only raise the c of Σy = 1, so that of some of them is a lower bound; the largest few, which make up
most of the sum, give one near to c. In a vocabulary that leaves out nearly all.
"""

# What is compiled is typed by the compiler, not by annotations.
# mypy: disable-error-code="no-untyped-def"

import math

from numba import carray, types

from seq2seq.mappings.cpu import entmax
from seq2seq.mappings.cpu.compilation import FLOATS, caller, jit

# (values, count, span, theta, work) → a number
LIFT = types.float64(FLOATS, types.int64, types.float64, types.float64, FLOATS)
call_lift = caller(LIFT)

BINS, STEPS = 64, 5


@jit
def fill_bins(x, count, width, edges, sizes):
    """How many of the ``x`` ≤ 0 are in each bin, and the lower edges of these.

    What rounding let in below the last edge is not counted: less only lowers the bound.
    """
    for b in range(BINS):
        edges[b] = -(b + 1) * width
        sizes[b] = 0.0
    scale = 1.0 / width
    for i in range(count):
        b = int(-x[i] * scale)
        if b < BINS:
            sizes[b] += 1.0


def entmax_lift(values, count, span, alpha, work):
    """A c not above that of the candidates, which are in [−``span``, 0]: rounded down to bins.

    Newton's method on the norm F^a, F = Σy, which is convex in c: no step from below leads above
    the root. Where α is out of its reach, the c at which the largest x alone has weight 1.
    """
    a = alpha - 1.0
    if not 1e-3 < a <= 1.0:
        return 0.0
    x, spare = carray(values, count), carray(work, 4 * BINS)
    edges, sizes, y, s = spare[:BINS], spare[BINS:], spare[2 * BINS :], spare[3 * BINS :]
    fill_bins(x, count, span / (BINS - 1), edges, sizes)
    c = 0.0
    for _ in range(STEPS):
        entmax.sums(edges, BINS, a, c, y, s)
        total, slope = 0.0, 0.0
        for b in range(BINS):
            total += sizes[b] * y[b]
            slope += sizes[b] * s[b]
        if total <= 1.0:
            break
        grown = math.log(total)
        c += math.expm1(a * grown) / (a * math.exp((a - 1.0) * grown) * slope)
    return c


LIFTS = {"entmax": entmax_lift}
