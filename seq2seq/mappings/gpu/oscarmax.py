"""Oscarmax on a tile of sorted rows: isotonic regression by splitting, and the simplex."""

import triton
import triton.language as tl

from seq2seq.mappings.gpu.rows import any_of
from seq2seq.mappings.gpu.scans import (
    columns,
    flag_before,
    flag_here_and_after,
    segment_maxima,
    segment_means,
    segment_sums,
    value_before,
)
from seq2seq.mappings.gpu.sparsemax import centered, simplex_threshold


@triton.jit
def _nonincreasing_regression(x, real, last, tolerance, column):
    """Return the non-increasing sequence nearest to ``x`` at ``real`` positions, 0 to ``last``.

    A segment splits where the partial sums of x − mean are largest, if that maximum is above 0. The
    regression is above the mean to the left of the split, and below it to the right.
    """
    starts, ends = real & (column == 0), real & (column == last)
    result = tl.zeros_like(x)
    going = 1
    while going > 0:
        result = segment_means(x, real, starts, ends, column)
        sums, _ = segment_sums(x - result, real, starts)
        sums = tl.where(real & (ends == 0), sums, 0.0)
        largest = segment_maxima(sums, starts, ends, column)
        cut = real & (ends == 0) & (sums > tolerance) & (sums == largest)
        ends, starts = ends | cut, starts | (real & (flag_before(cut, real, column) == 1))
        going = any_of(cut)
    return result


@triton.jit
def oscarmax(x, valid, lam):
    """Return P_Δ of the non-increasing isotonic regression of x_(k) − λ(d − k).

    Rows must be in decreasing order. A constant changes no weight, so the code uses λk in place of
    −λ(d − k). With m candidates, values below −1 − λ(m − 1) cannot be in the support. λk can be in
    the hundreds while weights are near 1/d, so the regression uses float64.
    """
    column = columns(x)
    count = tl.sum(valid.to(tl.int32), axis=1, keep_dims=True)
    near = valid
    going = 1
    while going > 0:
        near = near & (x >= -1.0 - lam * (count - 1).to(x.dtype))
        fewer = tl.sum(near.to(tl.int32), axis=1, keep_dims=True)
        going = any_of(fewer < count)
        count = fewer
    shifted = x.to(tl.float64) + lam.to(tl.float64) * column.to(tl.float64)
    shifted = tl.where(near, shifted, 0.0)
    tolerance = 1e-14 * (1.0 + lam.to(tl.float64) * count.to(tl.float64))
    prox = _nonincreasing_regression(shifted, near, count - 1, tolerance, column)
    maximum = tl.max(tl.where(near, prox, float("-inf")), axis=1, keep_dims=True)
    prox = tl.where(near, prox - maximum, float("-inf"))
    return tl.maximum(prox - simplex_threshold(prox), 0.0).to(x.dtype)


@triton.jit
def oscarmax_product(y, v, valid, lam):
    """Return J·v: the mean of v over each group of equal weights, less its mean over the support.

    Rows decrease in y, so groups are segments. The kernel then sets values outside the support to
    0.
    """
    column = columns(y)
    some = y > 0
    starts = some & ((y != value_before(y, some, -1.0)) | (lam == 0))
    _, after = flag_here_and_after(starts, some, column)
    return centered(y, segment_means(v, some, starts, some & (after != 0), column))
