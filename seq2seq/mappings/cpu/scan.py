"""Passes over one row: its largest value, its candidates, and what a mask leaves of it."""

# What is compiled is typed by the compiler, not by annotations.
# mypy: disable-error-code="no-untyped-def"

import numpy as np

from seq2seq.mappings.cpu.compilation import BLOCK, PADDED, above, from_bits, jit, lowest_bit

WORD = 64
LOWEST = -1e300


@jit
def largest(bits, length):
    """The largest number, and the largest size ``|x|``, of a row given by its bits.

    Floats are ordered as their bits are, but for the sign; integers vectorize where the rules of
    NaN would not let floats, and NaN shows itself: it is larger in size than infinity.
    """
    integer = bits.dtype.type  # of this width throughout: numba would widen it
    sign = integer(8 * bits.itemsize - 1)
    smallest = integer(integer(-1) << sign)
    rest = integer(~smallest)  # all bits but the sign
    top, extent = smallest, integer(0)
    for j in range(length):
        b = bits[j]
        top = max(top, integer(b ^ integer(integer(b >> sign) & rest)))
        extent = max(extent, integer(b & rest))
    return from_bits(integer(top ^ integer(integer(top >> sign) & rest))), from_bits(extent)


@jit
def largest_of(values, length):
    """The same of the first ``length`` of ``values``, one by one; both NaN if one is."""
    top, extent = -np.inf, 0.0
    for j in range(length):
        v = float(values[j])
        if v != v:  # NaN stays
            return values.dtype.type(v), values.dtype.type(v)
        top = max(top, v)
        extent = max(extent, abs(v))
    return values.dtype.type(top), values.dtype.type(extent)


@jit
def below(x, value):
    """A float of the type of ``x`` that is not above ``value``, as rounding might be."""
    rounded = x.dtype.type(value)
    return rounded - abs(rounded) * x.dtype.type(2.0 ** (-23 if x.itemsize == 4 else -52))


@jit
def collect(x, length, limit, best, scale, values, index):
    """Positions of a row where x > ``limit``, and (x − ``best``)·``scale`` there.

    Returns how many there are. ``values`` is filled up with numbers below all others, so that
    solvers may read it in whole blocks of ``PADDED``.
    """
    count = 0
    done = length - length % BLOCK
    for first in range(0, done, WORD):  # bits of four blocks, so that few branches go astray
        bits = np.int64(0)
        for k in range(0, min(WORD, done - first), BLOCK):
            bits |= above(x, first + k, limit) << k
        if bits == np.int64(-1):
            for k in range(WORD):
                index[count + k] = first + k
            count += WORD
            continue
        while bits:
            index[count] = first + lowest_bit(bits)
            count += 1
            bits &= bits - 1
    for j in range(done, length):
        index[count] = j
        count += x[j] > limit
    for i in range(count):
        values[i] = (np.float64(x[index[i]]) - best) * scale
    pad(values, count)
    return count


@jit
def padded(count):
    """How many numbers there are with those that fill up the last block."""
    return (count + PADDED - 1) // PADDED * PADDED


@jit
def pad(values, count):
    """Fill ``values`` from ``count`` to a whole block with numbers that no threshold lets in."""
    for i in range(count, count + PADDED):
        values[i] = LOWEST


@jit
def offset_of(geometry, row):
    """Where the mask of a row begins.

    ``geometry`` holds the step along the row, the number of leading dimensions, their sizes, and
    their strides in the mask.
    """
    dimensions = geometry[1]
    offset = np.int64(0)
    for k in range(dimensions - 1, -1, -1):
        size = geometry[2 + k]
        offset += (row % size) * geometry[2 + dimensions + k]
        row //= size
    return offset


@jit
def leading(mask, step, length):
    """How many positions are True, and whether these are the first ones."""
    count, whole = 0, 0
    for j in range(length):
        count += mask[j * step]
    for j in range(count):
        whole += mask[j * step]
    return count, whole == count


@jit
def gather(x, length, mask, step, masked, values, index):
    """The numbers of a row that may be attended, side by side; returns how many."""
    count = 0
    for j in range(length):
        v = x[j]
        if (v > -np.inf or v != v) and (not masked or mask[j * step]):
            values[count] = v
            index[count] = j
            count += 1
    return count


@jit
def apart(x, scored, mask, step, masked, left, right):
    """Whether a position that may be attended lies between two others of a row."""
    for j in range(left + 1, right):
        if (not masked or mask[j * step]) and (not scored or x[j] > -np.inf):
            return True
    return False
