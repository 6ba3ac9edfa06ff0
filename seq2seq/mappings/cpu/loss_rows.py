"""The Fenchel–Young loss of a class, row by row, compiled: L = max_Ω(x) + γΩ(q) − ⟨x, q⟩.

q = (1 − ε)·onehot + ε·uniform over the n positions of a row that may be attended. A row is read for
its largest score, with ε for its sum, and for its candidates; what remains of it is the *entries*
of the gradient Π(x) − q, the few that differ from −ε/n. A gradient of the size of the scores is
made on the way back alone, in one pass.
"""

# What is compiled is typed by the compiler, not by annotations.
# mypy: disable-error-code="no-untyped-def"

import numpy as np
from numba import carray, types

from seq2seq.mappings.cpu.compilation import (
    BLOCK,
    FLOATS,
    INTEGERS,
    call_reach,
    call_solver,
    jit,
)
from seq2seq.mappings.cpu.lift import call_lift
from seq2seq.mappings.cpu.rows import ANYWHERE, HOLES, MASK, ORDER, VALUES, WORK
from seq2seq.mappings.cpu.scan import (
    below,
    collect,
    gather,
    largest,
    largest_of,
    leading,
    offset_of,
)

IGNORED, NEIGHBORS, SCORES = 1 << 8, 1 << 9, 1 << 10
MANY = 512  # positions from which on a bound on the threshold is looked for
FEW = 1.75  # how far down, in γ, the scores reach that it is looked for in
LEFT, RIGHT = 1, 2  # the sides on which a target has a neighbor

_NUMBERS = types.CPointer(types.int32)
_BYTES = types.CPointer(types.uint8)


def forward_signature(real: types.Float, bits: types.Integer) -> types.Type:
    """Of ``forward`` for scores of the type ``real``, as large as ``bits``."""
    reals = types.CPointer(real)
    given = [reals, types.CPointer(bits), _BYTES, INTEGERS, INTEGERS]
    found = [reals, _NUMBERS, INTEGERS, INTEGERS, FLOATS, FLOATS, FLOATS, INTEGERS, INTEGERS]
    numbers = [types.int64] * 5 + [types.float64] * 3 + [types.int64] * 4
    return types.void(*given, *found, *numbers)


def backward_signature(real: types.Float) -> types.Type:
    """Of ``backward`` for scores of the type ``real``."""
    reals = types.CPointer(real)
    given = [reals, _BYTES, INTEGERS, FLOATS, reals, _NUMBERS, INTEGERS, INTEGERS, FLOATS, INTEGERS]
    return types.void(*given, reals, *[types.int64] * 5)


def forward(
    scores,  # [rows from ``base`` on, length], contiguous
    bits,  # the same memory as integers
    masks,  # bytes, where the geometry says; if MASK is given
    geometry,
    targets,  # [rows]
    entries,  # [rows·length], of which the beginning is used
    places,  # the positions of the entries in their rows
    starts,  # [rows]: the first entry of each
    counts,  # [rows]: how many there are
    rests,  # [rows]: ε/n
    losses,  # [rows]: the loss, all but γΩ(q)
    surprises,  # [rows]: −log Π(x) of the target
    sizes,  # [rows]: n; 0 where a row has no loss
    sides,  # [rows]: LEFT and RIGHT, if NEIGHBORS is given
    base,
    first,
    end,
    length,
    given,
    gamma,
    theta,
    smoothing,
    ignored,
    solver,
    reach,
    lift,  # of a lower bound on the threshold; 0 where there is none
):
    """Losses of the rows from ``first`` to before ``end``, and what their gradients need."""
    x, b = carray(scores, (end - base) * length), carray(bits, (end - base) * length)
    mask, form, target = carray(masks, ANYWHERE), carray(geometry, 2), carray(targets, end)
    entry, place = carray(entries, end * length), carray(places, end * length)
    start_of, count_of, rest = carray(starts, end), carray(counts, end), carray(rests, end)
    loss, surprise = carray(losses, end), carray(surprises, end)
    size, side = carray(sizes, end), carray(sides, end)
    capacity = length + BLOCK
    floats = np.empty((2 + WORK) * capacity)
    integers = np.empty((2 + ORDER) * capacity, np.int64)
    packed = np.empty(capacity, x.dtype)
    candidates, found, work = floats[:capacity], floats[capacity:], floats[2 * capacity :]
    index, where, order = integers[:capacity], integers[capacity:], integers[2 * capacity :]
    masked, step = given & MASK != 0, np.int64(1)
    if masked:
        step = form[0]
    offset, valid, whole = np.int64(-1), length, True
    cursor = first * length
    for row in range(first, end):
        start_of[row], count_of[row], rest[row] = cursor, 0, 0.0
        loss[row], surprise[row], size[row], side[row] = 0.0, 0.0, 0, 0
        true = target[row]
        if given & IGNORED and true == ignored:
            continue
        start = (row - base) * length
        xs = x[start : start + length]
        if masked:
            before, offset = offset, offset_of(form, row)
            if offset != before:
                valid, whole = leading(mask[offset:], step, length)
        best, extent, members, spread = x.dtype.type(-np.inf), x.dtype.type(0), valid, not whole
        if whole:
            best, extent = largest(b[start : start + length], valid)
            spread = extent == np.inf and (given & HOLES != 0 or smoothing > 0.0)
        if spread:
            members = gather(xs, length, mask[offset:], step, masked, packed, where)
            best, extent = largest_of(packed, members)
        if members == 0 or best == -np.inf or extent != extent or best == np.inf:
            surprise[row] = np.inf
            if members > 0 and (best != -np.inf or extent != extent):
                # NaN among the scores, or no finite maximum
                loss[row], surprise[row], rest[row] = np.nan, np.nan, np.nan
            continue
        row_scores = packed if spread else xs
        spot = find(where, members, true) if spread else (true if true < members else -1)
        span = span_of(
            row_scores, members, best, gamma, theta, reach, lift, candidates, index, work
        )
        limit = below(x, best - span * gamma)
        count = collect(row_scores, members, limit, best, 1.0 / gamma, candidates, index)
        value = call_solver(
            solver,
            (
                candidates.ctypes.data,
                candidates.ctypes.data,
                index.ctypes.data,
                count,
                members,
                theta,
                found.ctypes.data,
                work.ctypes.data,
                order.ctypes.data,
                VALUES,
            ),
        )
        size[row] = members
        if given & NEIGHBORS:
            side[row] = (LEFT if spot > 0 else 0) + (RIGHT if spot < members - 1 else 0)
        seen = spot >= 0 and row_scores[spot] > -np.inf
        product = (1.0 - smoothing) * (np.float64(row_scores[spot]) - best) if seen else -np.inf
        if smoothing > 0.0:
            product += smoothing * (total(row_scores, members) / members - best)
            rest[row] = smoothing / members
        loss[row] = value * gamma - product
        chance = probability(found, index, count, spot)
        surprise[row] = -np.log(chance) if chance > 0.0 else np.inf
        if spread:
            for i in range(count):
                index[i] = where[index[i]]
        cursor = keep(
            found, index, count, true if seen else -1, smoothing, rest[row], entry, place, cursor
        )
        count_of[row] = cursor - start_of[row]


@jit
def span_of(x, members, best, gamma, theta, reach, lift, candidates, index, work):
    """How far below the largest score the support can reach, in γ."""
    span = call_reach(reach, (theta, members))
    if lift == 0 or members < MANY:
        return span
    top = min(0.5 * span, FEW)
    limit = below(x, best - top * gamma)
    count = collect(x, members, limit, best, 1.0 / gamma, candidates, index)
    threshold = call_lift(lift, (candidates.ctypes.data, count, top, theta, work.ctypes.data))
    return span - threshold + 1e-9  # with room for rounding


@jit
def find(where, count, position):
    """The place of ``position`` among the first ``count`` of an ascending row; −1 if none."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if where[middle] < position:
            low = middle + 1
        else:
            high = middle
    return low if low < count and where[low] == position else -1


@jit
def total(x, length):
    """Σx in double precision."""
    result = 0.0
    for j in range(length):
        result += np.float64(x[j])
    return result


@jit
def probability(found, index, count, position):
    """The weight of a position; 0 if it is no candidate."""
    place = find(index, count, position)
    return found[place] if place >= 0 else 0.0


@jit
def keep(weights, index, count, target, smoothing, rest, entries, places, cursor):
    """Append the entries of Π − q, in the support and at the target; returns where they end."""
    sure, missing = 1.0 - smoothing, target >= 0
    for i in range(count):
        true = index[i] == target
        entries[cursor] = weights[i] - rest - (sure if true else 0.0)
        places[cursor] = index[i]
        cursor += weights[i] > 0.0 or true
        missing = missing and not true
    if missing:
        entries[cursor] = -rest - sure
        places[cursor] = target
        cursor += 1
    return cursor


def backward(
    scores,  # [rows from ``base`` on, length], contiguous; if SCORES is given
    masks,
    geometry,
    upstream,  # [rows]: the gradient of each loss
    entries,
    places,
    starts,
    counts,
    rests,
    sizes,
    gradients,  # [rows from ``base`` on, length]
    base,
    first,
    end,
    length,
    given,
):
    """Gradients of the rows from ``first`` to before ``end``: −ε/n where valid, and the entries."""
    x, out = carray(scores, (end - base) * length), carray(gradients, (end - base) * length)
    mask, form, slope = carray(masks, ANYWHERE), carray(geometry, 2), carray(upstream, end)
    entry, place = carray(entries, end * length), carray(places, end * length)
    start_of, count_of, rest = carray(starts, end), carray(counts, end), carray(rests, end)
    size = carray(sizes, end)
    masked, offset, step = given & MASK != 0, np.int64(0), np.int64(1)
    if masked:
        step = form[0]
    for row in range(first, end):
        start = (row - base) * length
        outs = out[start : start + length]
        fill = out.dtype.type(-rest[row] * slope[row] if rest[row] != 0.0 else 0.0)
        for j in range(length):
            outs[j] = fill
        if given & SCORES and size[row] < length and rest[row] > 0.0:
            xs = x[start : start + length]
            if masked:
                offset = offset_of(form, row)
            for j in range(length):
                if xs[j] == -np.inf or (masked and not mask[offset + j * step]):
                    outs[j] = 0
        for i in range(start_of[row], start_of[row] + count_of[row]):
            outs[place[i]] = entry[i] * slope[row]
