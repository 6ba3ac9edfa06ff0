"""Oscarmax, compiled: P_Δ of the isotonic regression of x_(k) − λ(d − k), unsorted."""

# What is compiled is typed by the compiler, not by annotations.
# mypy: disable-error-code="no-untyped-def"

from numba import carray

from seq2seq.mappings.cpu.compilation import PADDED, jit
from seq2seq.mappings.cpu.scan import pad
from seq2seq.mappings.cpu.sorting import sort_descending
from seq2seq.mappings.cpu.sparsemax import project


def reach(lam, length):
    """The last of a support of m has x_(m) + λm > max x + λ − 1."""
    return 1.0 + lam * (length - 1)


@jit
def isotonic(x, count, lam, sums, sizes):
    """Non-increasing regression of x_(k) + λk by pooling adjacent violators; returns the blocks."""
    blocks = 0
    for k in range(count):
        total, size = x[k] + lam * k, 1
        while blocks > 0 and sums[blocks - 1] * size <= total * sizes[blocks - 1]:
            blocks -= 1
            total += sums[blocks]
            size += sizes[blocks]
        sums[blocks] = total
        sizes[blocks] = size
        blocks += 1
    return blocks


@jit
def narrow(x, count, lam, kept):
    """Take out, again and again, what the reach of those left does not let in."""
    left = count
    for i in range(count):
        kept[i] = i
    while True:
        limit = -1.0 - lam * (left - 1)
        after = 0
        for i in range(left):
            kept[after] = kept[i]
            after += x[kept[i]] >= limit
        if after == left:
            return left
        left = after


def solve(values, _, places, count, length, lam, result, work, order, wanted):
    """Weights; returns ⟨y, x⟩ − ½‖y‖² − λΣ(d − k)y_(k) if wanted."""
    x, y = carray(values, count), carray(result, count)
    floats, integers = carray(work, 3 * (count + PADDED)), carray(order, 3 * (count + PADDED))
    near, descending = floats[: count + PADDED], floats[count + PADDED :]
    spare = floats[2 * (count + PADDED) :]
    kept, ranks = integers[: count + PADDED], integers[count + PADDED :]
    sizes = integers[2 * (count + PADDED) :]
    left = narrow(x, count, lam, kept)
    for i in range(left):
        near[i] = x[kept[i]]
    sort_descending(near, left, descending, ranks, spare, sizes)
    blocks = isotonic(descending, left, lam, spare, sizes)
    k = 0
    for block in range(blocks):
        mean = spare[block] / sizes[block]
        for _i in range(sizes[block]):
            near[ranks[k]] = mean
            k += 1
    pad(near, left)
    project(near, left, descending)
    for i in range(count):
        y[i] = 0.0
    for i in range(left):
        y[kept[i]] = descending[i]
    value = 0.0
    if wanted:
        # near is the order's: the k-th largest weight belongs to the k-th largest score.
        for k in range(left):
            weight = descending[ranks[k]]
            score = x[kept[ranks[k]]]
            value += weight * (score - 0.5 * weight - lam * (length - 1 - k))
    return value


def product(weights, vectors, places, count, length, lam, result, work, order, _):
    """J·v = mean of v over the group − mean of v over the support."""
    y, v, u = carray(weights, count), carray(vectors, count), carray(result, count)
    floats, integers = carray(work, 2 * (count + PADDED)), carray(order, 2 * (count + PADDED))
    descending, spare = floats[: count + PADDED], floats[count + PADDED :]
    ranks, spare_ranks = integers[: count + PADDED], integers[count + PADDED :]
    mean = 0.0
    for i in range(count):
        mean += v[i]
    mean /= count
    if lam == 0.0:
        for i in range(count):
            u[i] = v[i] - mean
        return 0.0
    sort_descending(y, count, descending, ranks, spare, spare_ranks)
    start = 0
    while start < count:
        end, total = start + 1, v[ranks[start]]
        while end < count and descending[end] == descending[start]:
            total += v[ranks[end]]
            end += 1
        average = total / (end - start) - mean
        for k in range(start, end):
            u[ranks[k]] = average
        start = end
    return 0.0
