"""Fusedmax, compiled: P_Δ(prox_{λTV}(x)), and the averages over runs on the way back."""

# What is compiled is typed by the compiler, not by annotations.
# mypy: disable-error-code="no-untyped-def"

import numpy as np
from numba import carray

from seq2seq.mappings.cpu.compilation import BLOCK, VALUES, above, jit, lowest_bit
from seq2seq.mappings.cpu.scan import WORD, pad
from seq2seq.mappings.cpu.sparsemax import project


def reach(theta, length):
    """The prox moves no score by more than 2λ, so τ ≥ max x − 1 − 2λ for the scores themselves."""
    return 1.0 + 4.0 * theta


@jit
def prox(x, start, end, lam, y):
    """argmin_y ½‖y − x‖² + λΣ|y_{i+1} − y_i| of a stretch (Condat, 2013).

    The dual path is kept between a lower and an upper one; where it cannot be, the last position
    where it touched is a jump.
    """
    last = end - 1
    k, left, lower, upper = start, start, start, start
    low, high = x[start] - lam, x[start] + lam
    u_low, u_high = lam, -lam
    while True:
        if k < last:
            next_low = u_low + x[k + 1] - low
            next_high = u_high + x[k + 1] - high
            if next_low < -lam:  # a jump down, where the path last touched above
                for i in range(left, lower + 1):
                    y[i] = low
                left = lower + 1
                k, lower, upper = left, left, left
                low = x[k]
                high = low + 2 * lam
                u_low, u_high = lam, -lam
            elif next_high > lam:  # a jump up
                for i in range(left, upper + 1):
                    y[i] = high
                left = upper + 1
                k, lower, upper = left, left, left
                high = x[k]
                low = high - 2 * lam
                u_low, u_high = lam, -lam
            else:
                k += 1
                u_low, u_high = next_low, next_high
                if u_low >= lam:
                    low += (u_low - lam) / (k - left + 1)
                    u_low, lower = lam, k
                if u_high <= -lam:
                    high += (u_high + lam) / (k - left + 1)
                    u_high, upper = -lam, k
        elif u_low < 0.0:
            for i in range(left, lower + 1):
                y[i] = low
            left = lower + 1
            k, lower = left, left
            low = x[k]
            u_low, u_high = lam, low + lam - high
        elif u_high > 0.0:
            for i in range(left, upper + 1):
                y[i] = high
            left = upper + 1
            k, upper = left, left
            high = x[k]
            u_high, u_low = -lam, high - lam - low
        else:
            low += u_low / (k - left + 1)
            for i in range(left, last + 1):
                y[i] = low
            return


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
