"""Oscarmax: P_Δ of the isotonic regression of x_(k) − λ(d − k), back in the order of x."""

# numba infers the types of compiled functions, so they have no annotations.
# mypy: disable-error-code="no-untyped-def"

from typing import NamedTuple

import numpy as np

from seq2seq.mappings.cpu.compilation import jit, part
from seq2seq.mappings.cpu.scan import collect
from seq2seq.mappings.cpu.thresholds import project


def reach(lam, length):
    """Return 1 + λ(d − 1): the last of a support of m has x_(m) + λm > max x + λ − 1."""
    return 1.0 + lam * (length - 1)


class Work(NamedTuple):
    """Memory for a row.

    Attributes:
        near: the candidates that are left, later their weights.
        kept: which these are.
        prox: their regression.
        sums: the sum of each block of equal values.
        sizes: the size of each block.
    """

    near: np.ndarray
    kept: np.ndarray
    prox: np.ndarray
    sums: np.ndarray
    sizes: np.ndarray


@part
def workspace(length):
    """Allocate memory for a row."""
    return Work(
        np.empty(length),
        np.empty(length, np.int64),
        np.empty(length),
        np.empty(length),
        np.empty(length, np.int64),
    )


@jit
def narrow(x, lam, kept):
    """Write the positions of those x that a support of their number reaches; return the number."""
    left = len(x)
    while True:
        limit = -1.0 - lam * (left - 1)
        inside = collect(x, limit - 1e-12 * (1.0 - limit), kept)
        if inside == left:
            return left
        left = inside


@jit
def regress(x, lam, y, sums, sizes):
    """Write the non-increasing regression of x_(k) + λk, by pooling adjacent violators."""
    order, blocks = np.argsort(-x), 0
    for k in range(len(x)):
        total, size = x[order[k]] + lam * k, 1
        while blocks > 0 and sums[blocks - 1] * size <= total * sizes[blocks - 1]:
            blocks -= 1
            total += sums[blocks]
            size += sizes[blocks]
        sums[blocks], sizes[blocks] = total, size
        blocks += 1
    k = 0
    for block in range(blocks):
        for _ in range(sizes[block]):
            y[order[k]] = sums[block] / sizes[block]
            k += 1


@part
def solve(x, place, length, lam, y, work, wanted):
    """Write the weights; return ⟨y, x⟩ − ½‖y‖² − λΣ(d − k)y_(k)."""
    left = narrow(x, lam, work.kept)
    near, prox = work.near[:left], work.prox[:left]
    for i in range(left):
        near[i] = x[work.kept[i]]
    regress(near, lam, prox, work.sums, work.sizes)
    project(prox, near)
    y[:] = 0.0
    for i in range(left):
        y[work.kept[i]] = near[i]
    return smoothed(x, y, length, lam) if wanted else 0.0


@jit
def smoothed(x, y, length, lam):
    """Return ⟨y, x⟩ − Ω(y)."""
    order, value = np.argsort(-y), 0.0
    for i in range(len(x)):
        value += y[i] * (x[i] - 0.5 * y[i]) - lam * (length - 1 - i) * y[order[i]]
    return value


@part
def product(y, v, place, lam, u, work):
    """Write J·v = mean of v over the group of equal y − mean of v over the support."""
    mean = v.sum() / len(v)
    if lam == 0.0:
        u[:] = v - mean
        return
    average_groups(y, v, mean, u)


@jit
def average_groups(y, v, mean, u):
    """Write the mean of v over each group of equal y, less ``mean``."""
    order, start, count = np.argsort(y), 0, len(y)
    while start < count:
        end, total = start, 0.0
        while end < count and y[order[end]] == y[order[start]]:
            total += v[order[end]]
            end += 1
        for k in range(start, end):
            u[order[k]] = total / (end - start) - mean
        start = end
