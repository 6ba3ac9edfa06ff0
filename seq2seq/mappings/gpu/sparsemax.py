"""Sparsemax on a tile of rows: the threshold of the simplex by Newton's method, without a sort."""

import triton
import triton.language as tl

from seq2seq.mappings.gpu.rows import any_of


@triton.jit
def simplex_threshold(x):
    """Return the τ with Σ(x − τ)_+ = 1, ``[ROWS, 1]``, for rows whose maximum is 0; ignore −inf.

    The sum is convex in τ: from −1 on, τ only grows, and the active set only shrinks. When it stops
    shrinking, τ is exact.
    """
    tau = tl.full([x.shape[0], 1], -1.0, x.dtype)
    going = 1
    while going > 0:
        active = x > tau
        count = tl.sum(active.to(x.dtype), axis=1, keep_dims=True)
        total = tl.sum(tl.where(active, x, 0.0), axis=1, keep_dims=True)
        larger = (total - 1.0) / tl.maximum(count, 1.0)
        going = any_of(larger > tau)
        tau = tl.maximum(tau, larger)
    return tau


@triton.jit
def sparsemax(x, valid, unused):
    """Return (x − τ)_+, with τ such that the sum is 1."""
    return tl.maximum(x - simplex_threshold(x), 0.0)


@triton.jit
def centered(y, v):
    """Return v less its mean over the support of y."""
    support = y > 0
    count = tl.maximum(tl.sum(support.to(v.dtype), axis=1, keep_dims=True), 1.0)
    return v - tl.sum(tl.where(support, v, 0.0), axis=1, keep_dims=True) / count


@triton.jit
def sparsemax_product(y, v, valid, unused):
    """Return J·v = v − mean v on the support."""
    return centered(y, v)
