"""Fusedmax on a tile of rows: the total-variation prox by splitting segments at their means.

The prox is larger than a segment's mean b at the positions S that minimize Σ_{i∈S} (b − x_i) +
λ·(number of ends of S inside the segment). That is a chain of binary choices, solved by one scan;
where the choice changes, the prox jumps, so the segment splits there, and its new ends move by ±λ.
All segments split at once until none does.
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
    """f₂∘f₁ for f(m) = min(max(m + shift, low), high)."""
    low = tl.minimum(tl.maximum(low1 + shift2, low2), high2)
    high = tl.minimum(tl.maximum(high1 + shift2, low2), high2)
    return shift1 + shift2, low, high


@triton.jit
def _jumps(residual, near, starts, ends, lam, tolerance, column):
    """Where the prox crosses the mean of its segment: 1 where it is above, and where it jumps next.

    D_k, the cost of 1 less that of 0 at k given the best choice before it, is D_k = clip(D_{k−1},
    −λ, λ) − r_k with r the residual x − b. From a segment's end backwards, D_k says the choice
    where it is outside [−λ, λ], and otherwise it is that of the next position.
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
    """argmin_t ½‖t − x‖² + λΣ|t_{i+1} − t_i| over valid neighbors, where ``near``; −inf elsewhere.

    ``near`` are the positions that can be in the support. Stretches of them decouple: towards a
    lower neighbor outside, an end of a stretch is drawn down by λ. Float32 needs small numbers:
    ``level`` holds the means, and ``residual`` what is left of x.
    """
    column = columns(x)
    before = flag_before(near, valid, column)
    _, after = flag_here_and_after(near, valid, column)
    drawn = (before == 0).to(x.dtype) + (after == 0).to(x.dtype)
    residual = tl.where(near, x - lam * drawn, 0.0)
    starts, ends = near & ((before != 1) | (lam == 0)), near & ((after != 1) | (lam == 0))
    level = tl.zeros_like(x)
    tolerance = 4 * rounding(x) * (1 + lam)  # a jump below it is none, so that runs are equal
    moving = tl.full(x.shape, 1, tl.int1)
    going = 1
    while going > 0:
        for _again in tl.static_range(2):  # what the first mean left makes up for its rounding
            mean = segment_means(residual, near, starts, ends, column)
            mean = tl.where(moving & near, mean, 0.0)
            level += mean
            residual -= mean
        above, cut_right = _jumps(residual, near, starts, ends, lam, tolerance, column)
        cut_left = near & (starts == 0) & (flag_before(cut_right, near, column) == 1)
        move = cut_right.to(x.dtype) + cut_left.to(x.dtype)
        residual += tl.where(above == 1, -lam, lam) * move
        ends, starts = ends | cut_right, starts | cut_left
        # A row at rest stays as it is, whatever the other rows of the tile do.
        moving = moving & (tl.max(cut_right.to(tl.int32), axis=1, keep_dims=True) != 0)
        going = any_of(cut_right)
    return tl.where(near, level, float("-inf"))


@triton.jit
def fusedmax(x, valid, lam):
    """P_Δ(prox_{λTV}(x)): the two steps compose exactly.

    The prox moves no value by more than 2λ, so values below −1 − 4λ cannot be in the support.
    """
    near = valid & (x >= -1.0 - 4.0 * lam)
    prox = _total_variation_prox(x, near, valid, lam)
    maximum = tl.max(prox, axis=1, keep_dims=True)
    prox = tl.where(near, prox - maximum, float("-inf"))
    return tl.maximum(prox - simplex_threshold(prox), 0.0)


@triton.jit
def fusedmax_product(y, v, valid, lam):
    """J·v: the mean of v over each run of equal weights less that over the support, on it."""
    column = columns(y)
    starts = valid & ((y != value_before(y, valid, -1.0)) | (lam == 0))
    _, after = flag_here_and_after(starts, valid, column)
    return centered(y, segment_means(v, valid, starts, valid & (after != 0), column))
