"""Fusedmax, compiled: P_Δ(prox_{λTV}(x)), and the averages over runs on the way back."""

# What is compiled is typed by the compiler, not by annotations.
# mypy: disable-error-code="no-untyped-def"

from numba import carray

from seq2seq.mappings.cpu.compilation import PADDED, jit
from seq2seq.mappings.cpu.scan import pad
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
def prox_of_stretches(x, place, count, length, lam, t):
    """The prox of each stretch of neighbors.

    Beyond the end of a stretch lies a lower score, which draws the end down by λ, or the border of
    the row, which does not.
    """
    start = 0
    while start < count:
        end = start + 1
        while end < count and place[end] == place[end - 1] + 1:
            end += 1
        if place[start] > 0:
            x[start] -= lam
        if place[end - 1] < length - 1:
            x[end - 1] -= lam
        if end - start == 1:
            t[start] = x[start]
        elif end - start == 2:
            # The two draw near by λ each, at most to their mean.
            step = min(max(0.5 * (x[start + 1] - x[start]), -lam), lam)
            t[start] = x[start] + step
            t[start + 1] = t[start] if abs(step) < lam else x[start + 1] - step
        else:
            prox(x, start, end, lam, t)
        start = end


def solve(values, _, places, count, length, lam, result, work, order, wanted):
    """Weights; returns ⟨y, x⟩ − ½‖y‖² − λΣ|y_{i+1} − y_i| if wanted."""
    x, place, y = carray(values, count), carray(places, count), carray(result, count)
    copy, t = carray(work, count), carray(work, 2 * count + PADDED)[count:]
    for i in range(count):
        copy[i] = x[i]
    prox_of_stretches(copy, place, count, length, lam, t)
    pad(t, count)
    project(t, count, y)
    value = 0.0
    if wanted:
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
