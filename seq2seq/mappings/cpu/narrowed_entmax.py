"""Entmax of many candidates, compiled: a histogram tells most of them to be hopeless.

In y = (1 + a(x − c))_+^{1/a}, a = α − 1, a candidate counts if x > c − 1/a. With every x rounded
down to the edge of its bin, Σy is smaller, and so is the c of Σy = 1: what lies below that c − 1/a
can be left out. Where α is near 1 and the row is a vocabulary, that is nearly all there is.
"""

# What is compiled is typed by the compiler, not by annotations.
# mypy: disable-error-code="no-untyped-def"

import math

from numba import carray

from seq2seq.mappings.cpu import entmax
from seq2seq.mappings.cpu.compilation import PADDED, jit
from seq2seq.mappings.cpu.scan import pad

BINS, MANY = 64, 128
STEPS = 4

reach = entmax.reach
product = entmax.product
_solve = jit(entmax.solve)


@jit
def lower_bound(x, count, a, spare):
    """A c not above that of the candidates ``x``, whose largest is 0.

    Newton's method on the norm F^a, F = Σy over bins, which is convex in c: no step from below
    leads above the root.
    """
    edges, sizes, y, s = spare[:BINS], spare[BINS:], spare[2 * BINS :], spare[3 * BINS :]
    width = 1.0 / (a * BINS)
    for b in range(BINS):
        edges[b] = -(b + 1) * width
        sizes[b] = 0.0
    for i in range(count):
        sizes[min(int(-x[i] / width), BINS - 1)] += 1.0
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


@jit
def narrow(x, count, a, kept, spare):
    """Draw together the candidates that may count; returns how many they are."""
    limit = lower_bound(x, count, a, spare) - 1.0 / a - 1e-9  # with room for rounding
    left = 0
    for i in range(count):
        x[left] = x[i]
        kept[left] = i
        left += x[i] > limit
    pad(x, left)
    return left


@jit
def spread(y, count, kept, left):
    """Put ``left`` weights back to where their candidates were, and 0 where others were."""
    end = count
    for i in range(left - 1, -1, -1):
        weight = y[i]  # no place is written to before it is read: kept[i] ≥ i
        for j in range(kept[i] + 1, end):
            y[j] = 0.0
        end = kept[i]
        y[end] = weight
    for j in range(end):
        y[j] = 0.0


def solve(values, vectors, places, count, length, alpha, result, work, order, wanted):
    """See ``entmax``; candidates are drawn together in place."""
    left = count
    kept = carray(order, count)
    narrowed = count >= MANY and 1.0 + 1e-3 < alpha < 2.0
    if narrowed:
        x, spare = carray(values, count + PADDED), carray(work, 4 * BINS)
        left = narrow(x, count, alpha - 1.0, kept, spare)
    value = _solve(values, vectors, places, left, length, alpha, result, work, order, wanted)
    if narrowed:
        spread(carray(result, count), count, kept, left)
    return value
