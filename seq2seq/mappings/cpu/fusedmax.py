"""Fusedmax: P_Δ(prox_{λTV}(x)); backward, averages over runs."""

# numba infers the types of compiled functions, so they have no annotations.
# mypy: disable-error-code="no-untyped-def"

from typing import NamedTuple

import numpy as np

from seq2seq.mappings.cpu.compilation import jit, part
from seq2seq.mappings.cpu.thresholds import project


def reach(lam, length):
    """Return 1 + 4λ: the prox moves no score by more than 2λ, so τ ≥ max x − 1 − 2λ."""
    return 1.0 + 4.0 * lam


class Work(NamedTuple):
    """Memory for a row: the candidates less what their neighbors lower them by, and their prox."""

    lowered: np.ndarray
    prox: np.ndarray


@part
def workspace(length):
    """Allocate memory for a row."""
    return Work(np.empty(length), np.empty(length))


@jit
def taut_string(x, lam, y):
    """Write argmin_y ½‖y − x‖² + λΣ|y_{i+1} − y_i|.

    This is the taut string of Davies and Kovac (2001); Condat's algorithm (2013) works in the same
    way. The string runs through a tube of width 2λ around the sums of x, and is fixed at both ends.
    From its last bend, at ``left``, up to ``k`` the string can pass the tube with slopes from
    ``low`` to ``high``; with these it touches the tube at ``lower`` and ``upper``. If no slope is
    left, the string bends there, and the search continues from the bend. Slopes are relative to
    the first x, so that those of equal x are equal to the last digit.
    """
    last, k = len(x) - 1, 0
    left, lower, upper = 0, 0, 0
    base, total, size = x[0], 0.0, 1.0
    low, high = total - lam, total + lam
    while k < last:
        k += 1
        total += x[k] - base
        size += 1.0
        inverse = 1.0 / size
        width = lam if k < last else 0.0
        slope_low, slope_high = (total - width) * inverse, (total + width) * inverse
        if slope_high < low:  # a jump down
            y[left : lower + 1] = base + low
            k, total = lower + 1, lam
        elif slope_low > high:  # a jump up
            y[left : upper + 1] = base + high
            k, total = upper + 1, -lam
        else:
            lower = k if slope_low >= low else lower
            upper = k if slope_high <= high else upper
            low, high = max(low, slope_low), min(high, slope_high)
            continue
        left, lower, upper = k, k, k
        base, size = x[k], 1.0
        low, high = total - lam, total + lam
    y[left:] = base + total / size


@part
def solve(x, place, length, lam, y, work, wanted):
    """Write the weights; return ⟨y, x⟩ − ½‖y‖² − λΣ|y_{i+1} − y_i|.

    Candidates next to each other are solved together. Beside each end of such a stretch lies a
    lower score, which lowers the end by λ, unless the row ends there.
    """
    count, start = len(x), 0
    lowered, prox = work.lowered[:count], work.prox[:count]
    lowered[:] = x
    while start < count:
        end = start + 1
        while end < count and place[end] == place[end - 1] + 1:
            end += 1
        lowered[start] -= lam if place[start] > 0 else 0.0
        lowered[end - 1] -= lam if place[end - 1] < length - 1 else 0.0
        if end - start == 1:
            prox[start] = lowered[start]
        else:
            taut_string(lowered[start:end], lam, prox[start:end])
        start = end
    project(prox, y)
    return smoothed(x, place, y, length, lam) if wanted else 0.0


@jit
def smoothed(x, place, y, length, lam):
    """Return ⟨y, x⟩ − Ω(y)."""
    value, count = 0.0, len(x)
    for i in range(count):
        value += y[i] * (x[i] - 0.5 * y[i])
        if i > 0 and place[i] == place[i - 1] + 1:
            value -= lam * abs(y[i] - y[i - 1])
        elif place[i] > 0:
            value -= lam * y[i]
        if place[i] < length - 1 and (i + 1 == count or place[i + 1] != place[i] + 1):
            value -= lam * y[i]
    return value


@part
def product(y, v, place, lam, u, work):
    """Write J·v = mean of v over the run − mean of v over the support."""
    count, start, mean = len(v), 0, v.sum() / len(v)
    while start < count:
        end, total = start + 1, v[start]
        while lam > 0.0 and end < count and y[end] == y[start] and place[end] == place[end - 1] + 1:
            total += v[end]
            end += 1
        u[start:end] = total / (end - start) - mean
        start = end
