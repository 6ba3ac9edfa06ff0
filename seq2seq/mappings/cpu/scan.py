"""Passes over one row of scores: its maximum, its mask, and its candidates.

The *candidates* of a row are the positions that the support can reach. They are few, so mappings
are computed on the candidates alone, in double precision, with the largest score at 0 and γ divided
out.
"""

# numba infers the types of compiled functions, so they have no annotations.
# mypy: disable-error-code="no-untyped-def"

from typing import NamedTuple

import numpy as np

from seq2seq.mappings.cpu.compilation import jit, ordered

BLOCK = 16  # positions that are skipped together if none is a candidate


class RowMemory(NamedTuple):
    """Memory for one row, each array as long as the row.

    Attributes:
        packed: the scores that may be attended, side by side; used if a row has holes.
        where: the position of each packed score in the row.
        values: the candidates in double precision.
        place: the position of each candidate among the scores that may be attended.
        position: the position of each candidate in the row.
        result: what a mapping returns for each candidate.
    """

    packed: np.ndarray
    where: np.ndarray
    values: np.ndarray
    place: np.ndarray
    position: np.ndarray
    result: np.ndarray


@jit
def room_for(scores):
    """Allocate memory for rows like those of ``scores`` ``[rows, length]``."""
    length = scores.shape[1]
    return RowMemory(
        np.empty(length, scores.dtype),
        np.empty(length, np.int64),
        np.empty(length),
        np.empty(length, np.int64),
        np.empty(length, np.int64),
        np.empty(length),
    )


@jit
def read(x, mask, valid, whole, holes, gamma, span, room):
    """Find the candidates of a row, whose scores are at most ``span``·γ below the largest.

    Args:
        x: the scores of the row.
        mask: where the row may be attended.
        valid: the number of True values in the mask.
        whole: whether these are the first values.
        holes: whether −inf among the scores must be removed, as the mask's False are.
        gamma: the strength γ.
        span: how far below the largest score the support can reach, at γ = 1.
        room: receives the candidates.

    Returns:
        The scores that may be attended; whether they are packed; the largest of them, which is −inf
        if there is none, and NaN if a score is NaN or inf; and the number of candidates, 0 in both
        cases.
    """
    row, packed = x[:valid], not whole
    best, lowest = x.dtype.type(-np.inf), False
    if whole:
        best, lowest = survey(row)
    if packed or (lowest and holes):
        packed = True
        row = room.packed[: pack(x, mask, room.packed, room.where)]
        best, _ = survey(row)
    if best == -np.inf:
        return row, packed, best, 0
    if not best < np.inf:
        return row, packed, x.dtype.type(np.nan), 0
    count = collect(row, below(x, best - span * gamma), room.place)
    scale = 1.0 / gamma
    for i in range(count):
        place = room.place[i]
        room.values[i] = (np.float64(row[place]) - best) * scale
        room.position[i] = room.where[place] if packed else place
    return row, packed, best, count


@jit
def survey(x):
    """Return the maximum of a row, NaN if it contains NaN, and whether it contains −inf."""
    lowest = x.dtype.type(-np.inf)
    nans, lows = 0, 0
    for j in range(len(x)):
        nans += x[j] != x[j]
        lows += x[j] == lowest
    return x.dtype.type(np.nan) if nans else largest(x), lows > 0


@ordered
def largest(x):
    """Return the maximum of numbers; −inf if there are none."""
    top = x.dtype.type(-np.inf)
    for j in range(len(x)):
        top = x[j] if x[j] > top else top
    return top


@jit
def below(x, value):
    """Return a number of the type of ``x`` that is at most ``value``, and close to it."""
    rounded = x.dtype.type(value)
    return rounded - abs(rounded) * x.dtype.type(2.0 ** (-23 if x.itemsize == 4 else -52))


@jit
def collect(x, limit, positions):
    """Write the positions where x > ``limit``; return their number."""
    count = 0
    done = len(x) - len(x) % BLOCK
    for first in range(0, done, BLOCK):
        hits = 0
        for k in range(BLOCK):
            hits += x[first + k] > limit
        if hits:
            for j in range(first, first + BLOCK):
                positions[count] = j
                count += x[j] > limit
    for j in range(done, len(x)):
        positions[count] = j
        count += x[j] > limit
    return count


@jit
def leading(mask):
    """Return the number of True values, and whether these are the first values."""
    count, first = 0, 0
    for j in range(len(mask)):
        count += mask[j]
    for j in range(count):
        first += mask[j]
    return count, first == count


@jit
def pack(x, mask, packed, where):
    """Write the scores that may be attended side by side; return their number."""
    count = 0
    for j in range(len(x)):
        if mask[j] and x[j] != -np.inf:
            packed[count] = x[j]
            where[count] = j
            count += 1
    return count


@jit
def apart(x, mask, left, right):
    """Return whether a position that may be attended lies between two others of a row."""
    between = 0
    for j in range(left + 1, right):
        between += mask[j] and x[j] > -np.inf
    return between > 0
