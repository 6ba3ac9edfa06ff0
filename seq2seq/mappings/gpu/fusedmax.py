"""Fusedmax on a tile of rows: the total-variation prox by splitting segments at their means.

Let b be the mean of a segment. The prox is larger than b at the positions S that minimize Σ_{i∈S}
(b − x_i) + λ·(number of ends of S inside the segment). That is a chain of binary choices, which one
scan solves. Where the choice changes, the prox jumps. The segment splits there, and its new ends
move by ±λ. All segments split at once, until none does.
"""

import triton
import triton.language as tl

from seq2seq.mappings.gpu.root import rounding
from seq2seq.mappings.gpu.rows import any_of
from seq2seq.mappings.gpu.scans import (
    columns,
    flag_before,
    flag_here_and_after,
    segment_means,
    value_before,
)
from seq2seq.mappings.gpu.sparsemax import centered, simplex_threshold


@triton.jit
def _compose(shift1, low1, high1, shift2, low2, high2):
    """Return f₂∘f₁ for functions f(m) = min(max(m + shift, low), high)."""
    low = tl.minimum(tl.maximum(low1 + shift2, low2), high2)
    high = tl.minimum(tl.maximum(high1 + shift2, low2), high2)
    return shift1 + shift2, low, high


@triton.jit
def _jumps(residual, near, starts, ends, lam, tolerance, column):
    """Return 1 where the prox lies above the mean of its segment, and whether it jumps after here.

    D_k is the cost of choice 1 at k less the cost of choice 0, given the best choices before k. It
    is D_k = clip(D_{k−1}, −λ, λ) − r_k, with r the residual x − b. The choices follow from the
    segment's end backwards: D_k determines the choice at k if D_k is outside [−λ, λ]. Otherwise the
    choice is that of the next position.
    """
    lam = lam + tl.zeros_like(residual)
    shift = tl.where(near & (starts == 0), -residual, 0.0)
    low = tl.where(near, tl.where(starts, -residual, -residual - lam), -1e30)
    high = tl.where(near, tl.where(starts, -residual, lam - residual), 1e30)
    _, cost, _ = tl.associative_scan((shift, low, high), 1, _compose)
    known = near & ((tl.abs(cost) > lam + tolerance) | ends)
    here, after = flag_here_and_after(cost < 0, known, column)
    return here, known & (ends == 0) & (here != after)


@triton.jit
def _total_variation_prox(x, near, valid, lam):
    """Return argmin_t ½‖t − x‖² + λΣ|t_{i+1} − t_i| over valid neighbors, at ``near`` positions.

    The result is −inf elsewhere. ``near`` marks the positions that can be in the support. Its
    stretches do not depend on each other: next to a lower neighbor outside of it, the end of a
    stretch decreases by λ.

    float32 needs small numbers, so ``level`` holds the means, and ``residual`` holds x less the
    means.
    """
    column = columns(x)
    before = flag_before(near, valid, column)
    _, after = flag_here_and_after(near, valid, column)
    drawn = (before == 0).to(x.dtype) + (after == 0).to(x.dtype)
    residual = tl.where(near, x - lam * drawn, 0.0)
    starts, ends = near & ((before != 1) | (lam == 0)), near & ((after != 1) | (lam == 0))
    level = tl.zeros_like(x)
    tolerance = 4 * rounding(x) * (1 + lam)  # ignore smaller jumps, so that runs are equal
    moving = tl.full(x.shape, 1, tl.int1)
    going = 1
    while going > 0:
        for _repetition in tl.static_range(2):  # the second mean corrects the rounding of the first
            mean = segment_means(residual, near, starts, ends, column)
            mean = tl.where(moving & near, mean, 0.0)
            level += mean
            residual -= mean
        above, cut_right = _jumps(residual, near, starts, ends, lam, tolerance, column)
        cut_left = near & (starts == 0) & (flag_before(cut_right, near, column) == 1)
        move = cut_right.to(x.dtype) + cut_left.to(x.dtype)
        residual += tl.where(above == 1, -lam, lam) * move
        ends, starts = ends | cut_right, starts | cut_left
        # A finished row must not change while other rows of the tile go on.
        moving = moving & (tl.max(cut_right.to(tl.int32), axis=1, keep_dims=True) != 0)
        going = any_of(cut_right)
    return tl.where(near, level, float("-inf"))


@triton.jit
def fusedmax(x, valid, lam):
    """Return P_Δ(prox_{λTV}(x)); the two steps compose exactly.

    The prox moves no value by more than 2λ, so values below −1 − 4λ cannot be in the support.
    """
    near = valid & (x >= -1.0 - 4.0 * lam)
    prox = _total_variation_prox(x, near, valid, lam)
    maximum = tl.max(prox, axis=1, keep_dims=True)
    prox = tl.where(near, prox - maximum, float("-inf"))
    return tl.maximum(prox - simplex_threshold(prox), 0.0)


@triton.jit
def fusedmax_product(y, v, valid, lam):
    """Return J·v: the mean of v over each run of equal weights, less its mean over the support.

    The kernel then sets values outside the support to 0.
    """
    column = columns(y)
    starts = valid & ((y != value_before(y, valid, -1.0)) | (lam == 0))
    _, after = flag_here_and_after(starts, valid, column)
    return centered(y, segment_means(v, valid, starts, valid & (after != 0), column))
