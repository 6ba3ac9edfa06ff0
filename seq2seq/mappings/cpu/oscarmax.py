"""Oscarmax, compiled: P_Δ of the isotonic regression of x_(k) − λ(d − k), unsorted."""

# What is compiled is typed by the compiler, not by annotations.
# mypy: disable-error-code="no-untyped-def"

import numpy as np
from numba import carray

from seq2seq.mappings.cpu.compilation import (
    PADDED,
    VALUES,
    count_above,
    jit,
    sums_equal,
    to_bits,
)
from seq2seq.mappings.cpu.scan import pad
from seq2seq.mappings.cpu.sorting import FEW, sort_descending
from seq2seq.mappings.cpu.sparsemax import project


def reach(lam, length):
    """The last of a support of m has x_(m) + λm > max x + λ − 1."""
    return 1.0 + lam * (length - 1)


@jit
def narrow(x, count, lam, near, kept):
    """The x that the reach of those that are left lets in, taken again and again."""
    left = count
    while True:
        limit = -1.0 - lam * (left - 1)
        limit -= 1e-12 * (1.0 - limit)
        inside = count_above(x, count, limit)
        if inside == left:
            break
        left = inside
    after = 0
    for i in range(count):
        near[after] = x[i]
        kept[after] = i
        after += x[i] > limit
    pad(near, left)
    return left


@jit
def pool(total, size, blocks, sums, sizes):
    """Add a block at the end, pooled with those before it that are not larger."""
    while blocks > 0 and sums[blocks - 1] * size <= total * sizes[blocks - 1]:
        blocks -= 1
        total += sums[blocks]
        size += sizes[blocks]
    sums[blocks] = total
    sizes[blocks] = size
    return blocks + 1


@jit
def regress_sorted(x, count, lam, t, sums, sizes, descending, ranks):
    """Non-increasing regression of x_(k) + λk, by pooling adjacent violators of the sorted x."""
    sort_descending(x, count, descending, ranks, sums, sizes)
    blocks = 0
    for k in range(count):
        blocks = pool(descending[k] + lam * k, 1, blocks, sums, sizes)
    if blocks == count:
        for k in range(count):
            t[ranks[k]] = sums[k]
        return
    k = 0
    for block in range(blocks):
        mean = sums[block] / sizes[block]
        for _ in range(sizes[block]):
            t[ranks[k]] = mean
            k += 1


@jit
def regress_dealt(x, count, lam, buckets, t, sums, sizes, totals, members, bucket, filled):
    """The same without a sort.

    Of neighbors in the order that are nearer than λ, the lower has the larger x_(k) + λk, so they
    end in one block: all numbers in a bucket λ wide do, and their order does not matter.
    """
    for b in range(buckets):
        totals[b] = 0.0
        members[b] = 0
    scale = 1.0 / lam
    for i in range(count):
        bucket[i] = int(-x[i] * scale)
    for i in range(count):
        b = bucket[i]
        totals[b] += x[i]
        members[b] += 1
    full = 0
    for b in range(buckets):
        filled[full] = b
        full += members[b] > 0
    blocks, k = 0, 0
    for i in range(full):
        b = filled[i]
        size = members[b]
        total = totals[b] + lam * (size * k + size * (size - 1) // 2)
        blocks = pool(total, size, blocks, sums, sizes)
        k += size
    b = 0
    for block in range(blocks):
        mean, rest = sums[block] / sizes[block], sizes[block]
        while rest > 0:
            rest -= members[b]
            totals[b] = mean
            b += 1
    for i in range(count):
        t[i] = totals[bucket[i]]


def solve(values, _, places, count, length, lam, result, work, order, asked):
    """Weights; returns ⟨y, x⟩ − ½‖y‖² − λΣ(d − k)y_(k) if wanted."""
    capacity = count + PADDED
    x, y = carray(values, capacity), carray(result, count)
    floats, integers = carray(work, 5 * capacity), carray(order, 7 * capacity)
    near, t = floats[:capacity], floats[capacity : 2 * capacity]
    sums, spare = floats[2 * capacity : 3 * capacity], floats[3 * capacity :]
    kept, sizes = integers[:capacity], integers[capacity : 2 * capacity]
    ranks, bucket = integers[2 * capacity :], integers[4 * capacity :]
    filled = integers[5 * capacity :]
    left = narrow(x, count, lam, near, kept)
    deepest = 0.0
    for i in range(left):
        deepest = max(deepest, -near[i])
    if left > FEW and deepest < 2 * lam * (left - 1):
        buckets = int(deepest * (1.0 / lam)) + 1
        regress_dealt(near, left, lam, buckets, t, sums, sizes, spare, ranks, bucket, filled)
    else:
        regress_sorted(near, left, lam, t, sums, sizes, spare, ranks)
    pad(t, left)
    project(t, left, near)
    if left < count:
        for i in range(count):
            y[i] = 0.0
    for i in range(left):
        y[kept[i]] = near[i]
    if not asked & VALUES:
        return 0.0
    return smoothed(x, y, count, length, lam, t, sums, spare, ranks, sizes)


@jit
def smoothed(x, y, count, length, lam, padded_y, spare, descending, ranks, spare_ranks):
    """⟨y, x⟩ − Ω(y)."""
    for i in range(count):
        padded_y[i] = y[i]
    pad(padded_y, count)
    sort_descending(padded_y, count, descending, ranks, spare, spare_ranks)
    value = 0.0
    for i in range(count):
        value += y[i] * (x[i] - 0.5 * y[i]) - lam * (length - 1 - i) * descending[i]
    return value


@jit
def slot_of(table, values, mask, y):
    """Where the group of weight ``y`` is in a table found by its bits."""
    slot = (to_bits(y) * np.int64(-7046029254386353131) >> np.int64(32)) & mask
    while table[slot] >= 0 and values[table[slot]] != y:
        slot = (slot + 1) & mask
    return slot


def product(weights, vectors, places, count, length, lam, result, work, order, _):
    """J·v = mean of v over the group − mean of v over the support."""
    capacity = count + PADDED
    y, v, u = carray(weights, capacity), carray(vectors, capacity), carray(result, count)
    mean = 0.0
    for i in range(count):
        mean += v[i]
    mean /= count
    if lam == 0.0:
        for i in range(count):
            u[i] = v[i] - mean
    elif count <= FEW:
        for i in range(count):
            size, total = sums_equal(y, v, count, y[i])
            u[i] = total / size - mean
    else:
        average_groups(y, v, count, mean, u, carray(work, 3 * count), carray(order, 3 * count))
    return 0.0


@jit
def average_groups(y, v, count, mean, u, floats, integers):
    """Groups of equal y found by a table, not by a sort."""
    width = 1
    while 2 * width <= 2 * count:
        width *= 2
    table, group = integers[:width], integers[2 * count :]
    values, totals, sizes = floats[:count], floats[count : 2 * count], floats[2 * count :]
    for slot in range(width):
        table[slot] = -1
    groups = 0
    for i in range(count):
        slot = slot_of(table, values, width - 1, y[i])
        if table[slot] < 0:
            table[slot] = groups
            values[groups], totals[groups], sizes[groups] = y[i], 0.0, 0.0
            groups += 1
        g = table[slot]
        totals[g] += v[i]
        sizes[g] += 1.0
        group[i] = g
    for g in range(groups):
        totals[g] = totals[g] / sizes[g] - mean
    for i in range(count):
        u[i] = totals[group[i]]
