"""Scans along rows: sums, means and maxima of segments, and values before and after a position.

They use no gather. Along a row that spans several warps or many registers, a gather costs much more
than a scan. The functions of forward scans are associative; those of reversed scans are also
commutative.
"""

import triton
import triton.language as tl

NONE = tl.constexpr(1 << 20)  # a column after all others


@triton.jit
def _two_smallest(first1, second1, first2, second2):
    second = tl.minimum(tl.maximum(first1, first2), tl.minimum(second1, second2))
    return tl.minimum(first1, first2), second


@triton.jit
def _two_largest(first1, second1, first2, second2):
    second = tl.maximum(tl.minimum(first1, first2), tl.maximum(second1, second2))
    return tl.maximum(first1, first2), second


@triton.jit
def _of_smallest(column1, value1, column2, value2):
    """Return the smaller column and its value; equal columns have the same value."""
    return tl.minimum(column1, column2), tl.where(column1 <= column2, value1, value2)


@triton.jit
def _latest_two(latest1, before1, count1, latest2, before2, count2):
    """Return the last value so far, the one before it, and their number, at most 2."""
    before = tl.where(count2 > 1, before2, tl.where(count2 == 1, latest1, before1))
    return tl.where(count2 > 0, latest2, latest1), before, tl.minimum(count1 + count2, 2)


@triton.jit
def _sum_from_start(sum1, count1, start1, sum2, count2, start2):
    """Add sums and counts; if the second part contains a start, ignore the first part."""
    return (
        tl.where(start2 != 0, sum2, sum1 + sum2),
        tl.where(start2 != 0, count2, count1 + count2),
        tl.maximum(start1, start2),
    )


@triton.jit
def _maximum_from_start(value1, start1, value2, start2):
    return tl.where(start2 != 0, value2, tl.maximum(value1, value2)), tl.maximum(start1, start2)


@triton.jit
def columns(like):
    """Return 0, 1, … for each position, int32 in the shape of ``like``."""
    return tl.zeros_like(like).to(tl.int32) + tl.arange(0, like.shape[1])[None, :]


@triton.jit
def flag_before(flags, there, column):
    """Return the flag, 0 or 1, of the last earlier position that is ``there``, or −1 without one.

    Only the results at positions that are ``there`` are meaningful.
    """
    key = tl.where(there, 2 * column + flags.to(tl.int32), -1)
    _, second = tl.associative_scan((key, tl.zeros_like(key) - 1), 1, _two_largest)
    return tl.where(second < 0, -1, second & 1)


@triton.jit
def flag_here_and_after(flags, there, column):
    """Return the flags of the first two positions from here on that are ``there``, or −1."""
    none: tl.constexpr = 2 * NONE
    key = tl.where(there, 2 * column + flags.to(tl.int32), none)
    first, second = tl.associative_scan(
        (key, tl.zeros_like(key) + none), 1, _two_smallest, reverse=True
    )
    return tl.where(first < none, first & 1, -1), tl.where(second < none, second & 1, -1)


@triton.jit
def value_before(values, there, none):
    """Return the value of the last earlier position that is ``there``, or ``none``.

    Only the results at positions that are ``there`` are meaningful.
    """
    count = there.to(tl.int32)
    _, before, count = tl.associative_scan((values, values, count), 1, _latest_two)
    return tl.where(count > 1, before, none)


@triton.jit
def from_end(values, ends, column):
    """Return the value at the end of each position's segment."""
    _, values = tl.associative_scan(
        (tl.where(ends, column, NONE), values), 1, _of_smallest, reverse=True
    )
    return values


@triton.jit
def segment_sums(values, counted, starts):
    """Return sums and counts of ``counted`` positions, from each segment's start to here."""
    values = tl.where(counted, values, 0.0)
    start = (starts & counted).to(tl.int32)
    sums, counts, _ = tl.associative_scan(
        (values, counted.to(values.dtype), start), 1, _sum_from_start
    )
    return sums, counts


@triton.jit
def segment_means(values, counted, starts, ends, column):
    """Return the mean of each segment at its positions."""
    sums, counts = segment_sums(values, counted, starts)
    return from_end(sums / tl.maximum(counts, 1.0), ends, column)


@triton.jit
def segment_maxima(values, starts, ends, column):
    """Return the maximum of each segment at its positions."""
    maxima, _ = tl.associative_scan((values, starts.to(tl.int32)), 1, _maximum_from_start)
    return from_end(maxima, ends, column)
