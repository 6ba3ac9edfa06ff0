"""What all mappings do with a row before and after their own mathematics, compiled.

A row of scores is read twice: for its largest value, and for its *candidates*, the positions that
the support can reach. A solver sees the candidates alone, in double precision, with the largest
at 0 and γ divided out; what it returns is written over zeros. On the way back the support is what
a solver sees.
"""

# What is compiled is typed by the compiler, not by annotations.
# mypy: disable-error-code="no-untyped-def"

import numpy as np
from numba import carray, types

from seq2seq.mappings.cpu.compilation import (
    BLOCK,
    FLOATS,
    INTEGERS,
    SINGLE,
    VALUES,
    call_reach,
    call_solver,
)
from seq2seq.mappings.cpu.scan import (
    apart,
    below,
    collect,
    gather,
    largest,
    largest_of,
    leading,
    offset_of,
)

MASK, GAMMAS, THETAS, HOLES, SCORES = (1 << bit for bit in range(2, 7))
ANYWHERE = 1 << 62  # a mask's strides may lead to any byte
WORK, ORDER = 5, 7  # arrays of a row's length that a solver may scribble in


def signature(real: types.Float, bits: types.Integer) -> types.Type:
    """Of ``forward`` and ``backward`` for numbers of the type ``real``, as large as ``bits``."""
    reals = types.CPointer(real)
    tensors = [reals, types.CPointer(bits), reals, reals, types.CPointer(types.uint8), reals]
    parameters = [FLOATS, FLOATS, FLOATS, INTEGERS]
    numbers = [types.int64] * 4 + [types.float64] * 2 + [types.int64] * 2
    return types.void(*tensors, *parameters, *numbers)


def forward(
    scores,  # [rows, length], contiguous
    bits,  # the same memory as integers
    _,
    __,
    masks,  # bytes, where the geometry says; if MASK is given
    result,  # [rows, length]
    values,  # [rows], for the smoothed max; if VALUES is given
    gammas,  # [rows]; if GAMMAS is given
    thetas,  # [rows]; if THETAS is given
    geometry,
    first,
    end,
    length,
    given,  # which of the above are there; HOLES: whether holes in a row change the mapping
    gamma,
    theta,
    solver,
    reach,
):
    """Weights, and the smoothed max if wanted, of the rows from ``first`` to before ``end``."""
    x, b, y = carray(scores, end * length), carray(bits, end * length), carray(result, end * length)
    mask, maximum = carray(masks, ANYWHERE), carray(values, end)
    form = carray(geometry, 2)
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
    for row in range(first, end):
        start = row * length
        xs, ys = x[start : start + length], y[start : start + length]
        if masked:
            before, offset = offset, offset_of(form, row)
            if offset != before:
                valid, whole = leading(mask[offset:], step, length)
        members = valid
        best, extent = x.dtype.type(-np.inf), x.dtype.type(0)
        if whole:
            best, extent = largest(b[start : start + length], valid)
        spread = not whole or (extent == np.inf and given & HOLES != 0)
        if spread:
            members = gather(xs, length, mask[offset:], step, masked, packed, where)
            best, extent = largest_of(packed, members)
        for j in range(length):
            ys[j] = 0
        if members == 0 or best == -np.inf or extent != extent or best == np.inf:
            answer = 0.0 if members == 0 or (best == -np.inf and extent == extent) else np.nan
            if answer != answer:  # NaN among the scores, or no finite maximum
                for j in range(length):
                    ys[j] = np.nan
            if given & VALUES:
                maximum[row] = answer
            continue
        if given & GAMMAS:
            gamma = carray(gammas, end)[row]
        if given & THETAS:
            theta = carray(thetas, end)[row]
        limit = below(x, best - call_reach(reach, (theta, members)) * gamma)
        row_scores = packed if spread else xs
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
                given & (VALUES | SINGLE),
            ),
        )
        if spread:
            for i in range(count):
                index[i] = where[index[i]]
        for i in range(count):
            ys[index[i]] = found[i]
        if given & VALUES:
            maximum[row] = value * gamma + best


def backward(
    weights,  # [rows, length], contiguous
    _,
    vectors,  # [rows, length], contiguous
    scores,  # [rows, length], contiguous; if SCORES is given
    masks,
    result,
    __,
    gammas,
    thetas,
    geometry,
    first,
    end,
    length,
    given,
    gamma,
    theta,
    solver,
    ___,
):
    """J·v of the rows from ``first`` to before ``end``, from the weights alone.

    Mask and scores tell the two sides of a hole, which are neighbors, from others; nothing else.
    """
    y, g, out = (
        carray(weights, end * length),
        carray(vectors, end * length),
        carray(result, end * length),
    )
    x, mask = carray(scores, end * length), carray(masks, ANYWHERE)
    form = carray(geometry, 2)
    capacity = length + BLOCK
    floats = np.empty((3 + WORK) * capacity)
    integers = np.empty((2 + ORDER) * capacity, np.int64)
    support, found = floats[:capacity], floats[capacity:]
    directions, work = floats[2 * capacity :], floats[3 * capacity :]
    index, place, order = integers[:capacity], integers[capacity:], integers[2 * capacity :]
    zero = y.dtype.type(0)
    offset, step = np.int64(0), np.int64(1)
    masked, scored = given & MASK != 0, given & SCORES != 0
    if masked:
        step = form[0]
    for row in range(first, end):
        start = row * length
        ys, gs, outs = (
            y[start : start + length],
            g[start : start + length],
            out[start : start + length],
        )
        count = collect(ys, length, zero, 0.0, 1.0, support, index)
        fill = ys[0] if ys[0] != ys[0] else zero
        for j in range(length):
            outs[j] = fill
        if count <= 1:  # one weight alone is 1, and stays so
            continue
        if given & GAMMAS:
            gamma = carray(gammas, end)[row]
        if given & THETAS:
            theta = carray(thetas, end)[row]
        scale = 1.0 / gamma
        for i in range(count):
            directions[i] = gs[index[i]] * scale
        if given & HOLES:
            if masked:
                offset = offset_of(form, row)
            xs = x[start : start + length] if scored else ys
            place[0] = index[0]
            for i in range(1, count):
                near = index[i] == index[i - 1] + 1
                if not near and support[i] == support[i - 1]:
                    near = not apart(
                        xs, scored, mask[offset:], step, masked, index[i - 1], index[i]
                    )
                place[i] = place[i - 1] + (1 if near else 2)
        call_solver(
            solver,
            (
                support.ctypes.data,
                directions.ctypes.data,
                place.ctypes.data,
                count,
                length,
                theta,
                found.ctypes.data,
                work.ctypes.data,
                order.ctypes.data,
                given & SINGLE,
            ),
        )
        for i in range(count):
            outs[index[i]] = found[i]
