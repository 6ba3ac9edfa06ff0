"""The mappings of p-norms on a tile of rows: y ∝ v^r, v = (1 + x/m)_+, r = 1/(p − 1), m = −τ."""

import triton
import triton.language as tl

from seq2seq.mappings.gpu.root import advance, log1p, rounding
from seq2seq.mappings.gpu.rows import any_of


@triton.jit
def _power(x, m, rest, r, steep):
    """Return the base v and z = v^r at m + rest, where the rest is much smaller than m.

    For steep powers, r < 1, compute v from x + m, which is exact near v = 0. For the others,
    compute it from x/m, which is exact near v = 1.
    """
    excess = (x + m) + rest
    v = tl.maximum(tl.where(steep, excess / (m + rest), 1.0 + x / m), 0.0)
    gentle = log1p(tl.maximum(x / m, -1.0))
    logarithm = tl.where(steep, tl.log(tl.where(v > 0, v, 1.0)), gentle)
    return v, tl.where(v > 0, tl.exp(r * logarithm), 0.0)


@triton.jit
def _sums(v, z):
    """Return Σz and Σzv, at least 1e-30, so that an empty row causes no division by 0."""
    first, second = tl.sum(z, axis=1, keep_dims=True), tl.sum(z * v, axis=1, keep_dims=True)
    return tl.maximum(first, 1e-30), tl.maximum(second, 1e-30)


@triton.jit
def _normalized(z):
    total = tl.sum(z, axis=1, keep_dims=True)
    return z / tl.where(total > 0, total, 1.0)


@triton.jit
def sqpnormmax(x, valid, p):
    """Return the weights for Ω = ½‖y‖_p², 1 < p ≤ 2, where Σ(x − τ)_+^r = ‖(x − τ)_+^r‖_p^{2−p}.

    That is log m + log Σv^r − (2 − p)/p · log Σv^{r+1} = 0. The root lies between
    d^{(2−p)(1−p)/p − (p−1)} and 1.
    """
    r, share = 1.0 / (p - 1.0), (2.0 - p) / p
    count = tl.maximum(tl.sum(valid.to(x.dtype), axis=1, keep_dims=True), 1.0)
    low = 0.999 * tl.exp(tl.log(count) * (1.0 - p) * (share + 1.0))
    high, previous = tl.full([x.shape[0], 1], 1.001, x.dtype), tl.zeros_like(low) + float("inf")
    x, steep = tl.where(valid, tl.maximum(x, -2.0), -2.0), p > 2.0
    m, going = tl.minimum(high, 1.0), 100
    while going > 0:
        v, z = _power(x, m, 0.0, r, steep)
        first, second = _sums(v, z)
        growth = tl.where(v > 0, -x / (m * m), 0.0)  # dv/dm
        small = tl.sum(z / tl.where(v > 0, v, 1.0) * growth, axis=1, keep_dims=True)
        large = tl.sum(z * growth, axis=1, keep_dims=True)
        value = tl.log(m) + tl.log(first) - share * tl.log(second)
        slope = 1.0 / m + r * small / first - share * (r + 1.0) * large / second
        m, low, high, previous, settled = advance(
            m, value, -value / slope, low, high, previous, rounding(x), 4 * rounding(x)
        )
        going = tl.where(any_of(settled == 0) > 0, going - 1, 0)
    _, z = _power(x, m, 0.0, r, steep)
    return _normalized(tl.where(valid, z, 0.0))


@triton.jit
def _norm_root(x, p, base, start, low, high, tolerance, attempts):
    """Return the t in [low, high] with ‖(x + m)_+‖_q = 1 at m = base + t.

    The norm is convex and increasing in t.
    """
    r, q, steep = 1.0 / (p - 1.0), p / (p - 1.0), p > 2.0
    t, previous = start, tl.zeros_like(start) + float("inf")
    going = attempts
    while going > 0:
        v, z = _power(x, tl.where(steep, base, base + t), tl.where(steep, t, 0.0), r, steep)
        first, second = _sums(v, z)
        value = tl.log(base + t) + tl.log(second) / q
        step = -(1.0 - tl.exp(-value)) * (base + t) * second / first
        t, low, high, previous, settled = advance(
            t, value, step, low, high, previous, rounding(x), tolerance
        )
        going = tl.where(any_of(settled == 0) > 0, going - 1, 0)
    return t


@triton.jit
def normmax(x, valid, p):
    """Return the weights for Ω = ‖y‖_p, p > 1, where ‖(x − τ)_+‖_q = 1 with 1/p + 1/q = 1.

    So m lies in [d^{−1/q}, 1]. For steep powers, p > 2, a second search finds the part of m that
    was lost to rounding.
    """
    r, steep = 1.0 / (p - 1.0), p > 2.0
    count = tl.maximum(tl.sum(valid.to(x.dtype), axis=1, keep_dims=True), 1.0)
    low = 0.999 * tl.exp(-tl.log(count) * (p - 1.0) / p)
    high = tl.full([x.shape[0], 1], 1.001, x.dtype)
    x, zero = tl.where(valid, tl.maximum(x, -2.0), -2.0), tl.zeros_like(low)
    one = tl.minimum(high, 1.0)
    m = _norm_root(x, p, zero, one, low, high, 4 * rounding(x), 100)
    reach = 64 * rounding(x) * steep.to(x.dtype)
    rest = _norm_root(x, p, m, zero, -reach, reach, 4 * rounding(x), 16 * any_of(steep))
    _, z = _power(x, tl.where(steep, m, m + rest), tl.where(steep, rest, 0.0), r, steep)
    return _normalized(tl.where(valid, z, 0.0))


@triton.jit
def _inverse(y, v, s, power, p):
    """Return H⁻¹v on the support, with H the Hessian of ½‖y‖_p²; see the reference."""
    inner = tl.sum(y * v, axis=1, keep_dims=True)
    product = s * v - (2.0 - p) / power * y * inner
    return product / ((p - 1.0) * tl.exp(tl.log(power) * (2.0 - p) / p))


@triton.jit
def _powers(y, p):
    """Return y^{2−p} on the support, at most 1/ε, and Σy^p, which is 1 for an empty row."""
    logarithm = tl.log(tl.where(y > 0, y, 1.0))
    s = tl.where(y > 0, tl.minimum(tl.exp((2.0 - p) * logarithm), 1.0 / rounding(y)), 0.0)
    power = tl.sum(tl.where(y > 0, tl.exp(p * logarithm), 0.0), axis=1, keep_dims=True)
    return s, tl.where(power > 0, power, 1.0)


@triton.jit
def sqpnormmax_product(y, v, valid, p):
    """Return J·v = H⁻¹v − H⁻¹1·⟨1, H⁻¹v⟩/⟨1, H⁻¹1⟩ on the support."""
    s, power = _powers(y, p)
    ones, result = _inverse(y, (y > 0).to(y.dtype), s, power, p), _inverse(y, v, s, power, p)
    total = tl.sum(ones, axis=1, keep_dims=True)
    share = tl.sum(result, axis=1, keep_dims=True) / tl.where(total > 0, total, 1.0)
    return result - ones * share


@triton.jit
def normmax_product(y, v, valid, p):
    """Return J·v = u − y·Σu with u = n^{p−1}·y^{2−p}·(v − ⟨y, v⟩)/(p − 1) and n = ‖y‖_p.

    Let D be the diagonal part of the Hessian of n. At the optimum dτ = ⟨y, dx⟩, and dy is
    D⁻¹(dx − dτ) less the multiple of y that keeps Σy = 1.
    """
    s, power = _powers(y, p)
    scale = tl.exp(tl.log(power) * (p - 1.0) / p) / (p - 1.0)
    u = scale * s * (v - tl.sum(y * v, axis=1, keep_dims=True))
    return u - y * tl.sum(u, axis=1, keep_dims=True)
