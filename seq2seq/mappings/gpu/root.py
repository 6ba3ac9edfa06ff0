"""The root of an increasing function of one variable, for the rows of a tile at once."""

import triton
import triton.language as tl


@triton.jit
def log1p(z):
    """Return log(1 + z) for z ≥ −1, exact for small z: correct for the rounding of 1 + z."""
    u = 1.0 + z
    small = (u == 1.0) | (u <= 0.0)
    quotient = tl.log(tl.where(small, 1.0, u)) * (z / tl.where(small, 1.0, u - 1.0))
    return tl.where(u <= 0.0, float("-inf"), tl.where(small, z, quotient))


@triton.jit
def advance(x, value, step, low, high, previous, epsilon, tolerance):
    """Make one step of Newton's method inside a bracket; all arguments are ``[ROWS, 1]``.

    If a step leaves the bracket, or if the step before it did not halve the value, a bisection
    replaces it. A settled row does not move. A row is also settled if its value is close to 0 and
    its step is below the resolution of x, because its value is then only rounding error.

    Returns:
        x, low, high, the absolute value, and whether x is settled.
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
    """Return the machine epsilon of a tile's type."""
    return 1.2e-7 if like.dtype == tl.float32 else 2.3e-16
