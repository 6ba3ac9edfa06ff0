"""Entmax on a tile of rows: y = (1 + a(x − c))_+^{1/a}, a = α − 1, with c such that Σy = 1."""

import triton
import triton.language as tl

from seq2seq.mappings.gpu.root import advance, log1p, rounding
from seq2seq.mappings.gpu.rows import any_of


@triton.jit
def entmax15(x, valid, unused):
    """Return (u − τ)_+² with u = x/2, for α = 1.5.

    This is Newton's method on ‖(u − τ)_+‖ = 1, which is convex in τ. It starts at −1, where the
    norm is at least 1, so τ only grows. On the final support, a closed form gives the exact τ of
    Σ(u − τ)² = 1.
    """
    u = tl.where(valid, 0.5 * x, float("-inf"))
    tau = tl.full([x.shape[0], 1], -1.0, x.dtype)
    going = 1
    while going > 0:
        e = tl.maximum(u - tau, 0.0)
        first, second = tl.sum(e, axis=1, keep_dims=True), tl.sum(e * e, axis=1, keep_dims=True)
        step = (second - tl.sqrt(second)) / tl.where(first > 0, first, 1.0)
        going = any_of(step > 8 * rounding(x))
        tau += tl.maximum(step, 0.0)
    e = tl.maximum(u - tau, 0.0)
    count = tl.sum((e > 0).to(x.dtype), axis=1, keep_dims=True)
    first, second = tl.sum(e, axis=1, keep_dims=True), tl.sum(e * e, axis=1, keep_dims=True)
    # The smaller root of count·t² − 2·first·t + second − 1, in a form without cancellation.
    root = tl.sqrt(tl.maximum(first * first - count * (second - 1.0), 0.0))
    step = (second - 1.0) / tl.where(first + root > 0, first + root, 1.0)
    e = tl.maximum((u - tau) - step, 0.0)
    return e * e


@triton.jit
def _power(d, inverse, a, steep):
    """Return y = v^{1/a}, and v: a·d for steep rows (α ≥ 2), and 1 + a·d for the others.

    Steep powers need v to be exact near 0, so d is measured from the threshold. Powers of a small a
    need v to be exact near 1, so d is measured from c.
    """
    z = a * d
    v = tl.where(steep, z, 1.0 + z)
    some = v > 0
    logarithm = tl.where(steep, tl.log(tl.where(some, v, 1.0)), log1p(tl.maximum(z, -1.0)))
    return tl.where(some, tl.exp(logarithm * inverse), 0.0), v


@triton.jit
def _root(x, valid, a, steep, base, start, low, high, tolerance, attempts):
    """Return the t in [low, high] with Σy = 1 at d = (x + base) + t.

    This is Newton's method on ((Σy)^a − 1)/a. For α ≤ 2 that function is convex in t and nearly
    linear.
    """
    inverse = 1.0 / a
    t, previous = start, tl.zeros_like(start) + float("inf")
    going = attempts
    while going > 0:
        y, v = _power(tl.where(valid, (x + base) + t, float("-inf")), inverse, a, steep)
        total = tl.sum(y, axis=1, keep_dims=True)
        slope = tl.sum(y / tl.where(v > 0, v, 1.0), axis=1, keep_dims=True)
        value = tl.log(tl.maximum(total, 1e-30))
        z = -a * value
        straight = tl.where(tl.abs(z) < 1e-2, z * (1.0 + 0.5 * z), tl.exp(z) - 1.0)
        step = total * straight / (a * tl.maximum(slope, 1e-30))
        value = tl.where(total > 0, value, -1e30)
        t, low, high, previous, settled = advance(
            t, value, step, low, high, previous, rounding(x), tolerance
        )
        going = tl.where(any_of(settled == 0) > 0, going - 1, 0)
    return t


@triton.jit
def entmax(x, valid, alpha):
    """Return the weights for any α > 1, one for each row.

    The first search finds the offset t of x. The second finds the part of the offset that t lost to
    rounding.
    """
    a = alpha - 1.0
    inverse = 1.0 / a
    steep = a >= 1.0
    count = tl.maximum(tl.sum(valid.to(x.dtype), axis=1, keep_dims=True), 1.0)
    # The largest y lies between 1/count and 1. The bracket is a little wider.
    least = tl.exp(-a * tl.log(count))
    high = tl.where(steep, inverse, 0.0)
    low = high - 1.001 * (1.0 - least) * inverse
    low, high = tl.where(steep, 0.999 * least * inverse, low), 1.001 * high
    zero = tl.zeros_like(low)
    reach = 64 * rounding(x) * steep.to(x.dtype)
    t = _root(x, valid, a, steep, zero, high, low, high, 16 * rounding(x), 100)
    attempts = 16 * any_of(steep)
    rest = _root(x, valid, a, steep, t, zero, -reach, reach, 4 * rounding(x), attempts)
    y, v = _power(tl.where(valid, (x + t) + rest, float("-inf")), inverse, a, steep)
    # Correct the remaining error of the sum along dy/dt.
    s = y / tl.where(v > 0, v, 1.0)
    slope = tl.sum(s, axis=1, keep_dims=True)
    excess = (tl.sum(y, axis=1, keep_dims=True) - 1.0) / tl.where(slope > 0, slope, 1.0)
    return tl.maximum(y - s * excess, 0.0)


@triton.jit
def _centered(y, v, s):
    """Return (diag(s) − s sᵀ/Σs)·v."""
    total = tl.sum(s, axis=1, keep_dims=True)
    mean = tl.sum(s * v, axis=1, keep_dims=True) / tl.where(total > 0, total, 1.0)
    return s * (v - mean)


@triton.jit
def entmax15_product(y, v, valid, unused):
    """Return J·v with s = √y."""
    return _centered(y, v, tl.sqrt(tl.maximum(y, 0.0)))


@triton.jit
def entmax_product(y, v, valid, alpha):
    """Return J·v with s = y^{2 − α} on the support; for α > 2, s is limited to 1/ε."""
    s = tl.exp((2.0 - alpha) * tl.log(tl.where(y > 0, y, 1.0)))
    return _centered(y, v, tl.where(y > 0, tl.minimum(s, 1.0 / rounding(y)), 0.0))
