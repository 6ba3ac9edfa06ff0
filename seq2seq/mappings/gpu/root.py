"""The root of an increasing function of one variable, for the rows of a tile at once."""

import triton
import triton.language as tl


@triton.jit
def log1p(z):
    """log(1 + z) for z ≥ −1, exact for small z: what rounding took from 1 + z is put back."""
    u = 1.0 + z
    small = (u == 1.0) | (u <= 0.0)
    quotient = tl.log(tl.where(small, 1.0, u)) * (z / tl.where(small, 1.0, u - 1.0))
    return tl.where(u <= 0.0, float("-inf"), tl.where(small, z, quotient))


@triton.jit
def advance(x, value, step, low, high, previous, epsilon, tolerance):
    """One step of Newton's method inside a bracket, all ``[ROWS, 1]``.

    A step that leaves the bracket, or that follows one which did not halve the value, is a
    bisection instead. A settled row stays where it is; a row whose value is all but 0 is settled
    as well when its step is below the resolution of x, for there the value is rounding.

    Returns:
        x, low, high, |value|, and whether x is settled.
    """
    positive = value > 0
    low, high = tl.where(positive, low, x), tl.where(positive, x, high)
    size = tl.abs(value)
    resolution = epsilon * tl.maximum(tl.abs(low), tl.abs(high))
    still = (tl.abs(step) <= 2 * resolution) & (size <= 1000 * epsilon)
    settled = (size <= tolerance) | still | (high - low <= resolution)
    newton = x + step
    trusted = (newton >= low) & (newton <= high) & (size <= 0.5 * previous)
    x = tl.where(settled, x, tl.where(trusted, newton, 0.5 * (low + high)))
    return x, low, high, size, settled


@triton.jit
def rounding(like):
    """The ε of a tile's type."""
    return 1.2e-7 if like.dtype == tl.float32 else 2.3e-16
