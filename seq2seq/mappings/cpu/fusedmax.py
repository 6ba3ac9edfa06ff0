"""Fusedmax, compiled: P_Δ(prox_{λTV}(x)), and the averages over runs on the way back."""

# What is compiled is typed by the compiler, not by annotations.
# mypy: disable-error-code="no-untyped-def"

import numpy as np
from numba import carray

from seq2seq.mappings.cpu.compilation import BLOCK, VALUES, above, jit, lowest_bit
from seq2seq.mappings.cpu.scan import WORD, pad
from seq2seq.mappings.cpu.sparsemax import project

SHORT = 16  # a support up to here is not worth more than a plain loop


def reach(theta, length):
    """The prox moves no score by more than 2λ, so τ ≥ max x − 1 − 2λ for the scores themselves."""
    return 1.0 + 4.0 * theta


@jit
def prox(x, start, end, lam, y):
    """argmin_y ½‖y − x‖² + λΣ|y_{i+1} − y_i| of a stretch, by the taut string.

    That is of Davies and Kovac (2001); Condat's algorithm (2013) walks the same way. The string
    runs through a tube of width 2λ around the sums of x, whose ends it holds. From where it was
    bent last, the tube lets slopes from ``low`` to ``high`` through so far, and ``lower`` and
    ``upper`` are where it touches at these. Where no slope is left it bends, and what comes after
    is looked at again from there. Little is decided on the way, so few branches go astray. Slopes
    are relative to the first x, so that those of equal x are equal to the last digit.
    """
    last, k = end - 1, start
    left, lower, upper = start, start, start
    base, total, size = x[start], 0.0, 1.0
    low, high = total - lam, total + lam
    while k < last:
        k += 1
        total += x[k] - base
        size += 1.0
        inverse = 1.0 / size
        width = lam if k < last else 0.0
        slope_low, slope_high = (total - width) * inverse, (total + width) * inverse
        if slope_high < low:  # a jump down
            for i in range(left, lower + 1):
                y[i] = base + low
            k, total = lower + 1, lam
        elif slope_low > high:  # a jump up
            for i in range(left, upper + 1):
                y[i] = base + high
            k, total = upper + 1, -lam
        else:
            lower = k if slope_low >= low else lower
            upper = k if slope_high <= high else upper
            low, high = max(low, slope_low), min(high, slope_high)
            continue
        left, lower, upper = k, k, k
        base, size = x[k], 1.0
        low, high = total - lam, total + lam
    value = base + total / size
    for i in range(left, end):
        y[i] = value


@jit
def prox_of_stretches(x, place, count, length, lam, t, drawn, joined):
    """The prox of each stretch of neighbors.

    Beyond the end of a stretch lies a lower score, which draws the end down by λ, or the border of
    the row, which does not. Most stretches are one position long: that is all there is to them.

    Args:
        x: the candidates.
        place: where they are in the row.
        count: how many.
        length: of the row.
        lam: λ.
        t: for the result.
        drawn: for the candidates less what draws them down.
        joined: for 1 where a candidate is next to the one before it, else 0.
    """
    if count == length:  # all are candidates, as when scores are nearly equal
        prox(x, 0, count, lam, t)
        return
    joined[0] = 1.0 if place[0] == 0 else 0.0
    for i in range(1, count):
        joined[i] = 1.0 if place[i] - place[i - 1] == 1 else 0.0
    joined[count] = 1.0 if place[count - 1] == length - 1 else 0.0
    for i in range(count):
        drawn[i] = x[i] - lam * (2.0 - joined[i] - joined[i + 1])
        t[i] = drawn[i]
    joined[0] = 0.0
    for i in range(count, count + BLOCK):
        joined[i] = 0.0
    done = 0
    for first in range(0, count, WORD):
        bits = np.int64(0)
        for k in range(0, min(WORD, count - first), BLOCK):
            bits |= above(joined, first + k, 0.5) << k
        while bits:
            i = first + lowest_bit(bits)
            bits &= bits - 1
            if i < done:  # in the stretch that was solved last
                continue
            done = i + 1
            while joined[done] > 0.5:
                done += 1
            if done - i == 1:  # the two draw near by λ each, at most to their mean
                step = min(max(0.5 * (drawn[i] - drawn[i - 1]), -lam), lam)
                t[i - 1] = drawn[i - 1] + step
                t[i] = t[i - 1] if abs(step) < lam else drawn[i] - step
            else:
                prox(drawn, i - 1, done, lam, t)


def solve(values, _, places, count, length, lam, result, work, order, asked):
    """Weights; returns ⟨y, x⟩ − ½‖y‖² − λΣ|y_{i+1} − y_i| if wanted."""
    capacity = count + BLOCK
    x, place, y = carray(values, count), carray(places, count), carray(result, count)
    floats = carray(work, 3 * capacity)
    drawn, joined = floats[:capacity], floats[capacity : 2 * capacity]
    t = floats[2 * capacity :]
    prox_of_stretches(x, place, count, length, lam, t, drawn, joined)
    pad(t, count)
    project(t, count, y)
    return smoothed(x, place, y, count, length, lam) if asked & VALUES else 0.0


@jit
def smoothed(x, place, y, count, length, lam):
    """⟨y, x⟩ − Ω(y)."""
    value = 0.0
    for i in range(count):
        value += y[i] * (x[i] - 0.5 * y[i])
        if i and place[i] == place[i - 1] + 1:
            value -= lam * abs(y[i] - y[i - 1])
        elif place[i] > 0:
            value -= lam * y[i]
        if place[i] < length - 1 and (i + 1 == count or place[i + 1] != place[i] + 1):
            value -= lam * y[i]
    return value


def product(weights, vectors, places, count, length, lam, result, work, order, _):
    """J·v = mean of v over the run − mean of v over the support."""
    y, v, place = carray(weights, count), carray(vectors, count), carray(places, count)
    u = carray(result, count)
    mean = 0.0
    for i in range(count):
        mean += v[i]
    mean /= count
    if lam == 0.0:
        for i in range(count):
            u[i] = v[i] - mean
        return 0.0
    if count > SHORT:
        size, floats = count + 1, carray(work, 3 * (count + 1))
        same, totals, sizes = floats[:size], floats[size : 2 * size], floats[2 * size :]
        average_runs(y, v, place, count, mean, u, same, totals, sizes)
        return 0.0
    start = 0
    while start < count:
        end, total = start + 1, v[start]
        while end < count and y[end] == y[start] and place[end] == place[end - 1] + 1:
            total += v[end]
            end += 1
        average = total / (end - start) - mean
        for i in range(start, end):
            u[i] = average
        start = end
    return 0.0


@jit
def average_runs(y, v, place, count, mean, u, same, totals, sizes):
    """The mean of v over each run, less ``mean``, in a long support.

    Branches on where runs end would go astray: products with 0 or 1 take their place.
    The mean of a run is known at its end, and carried back from there. A number that is not finite
    spreads, but so it does by ``mean``.
    """
    same[0], same[count] = 0.0, 0.0  # whether a position is of one run with the one before it
    for i in range(1, count):
        same[i] = 1.0 if (y[i] == y[i - 1]) & (place[i] - place[i - 1] == 1) else 0.0
    total, size = 0.0, 0.0
    for i in range(count):
        total = v[i] + same[i] * total
        size = 1.0 + same[i] * size
        totals[i], sizes[i] = total, size
    for i in range(count):
        totals[i] = (totals[i] / sizes[i] - mean) * (1.0 - same[i + 1])
    average = 0.0
    for i in range(count - 1, -1, -1):
        average = totals[i] + same[i + 1] * average
        u[i] = average
