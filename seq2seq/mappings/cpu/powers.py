"""Logarithm, exponential and power to 1e-16, in arithmetic that compilers vectorize."""

# numba infers the types of compiled functions, so they have no annotations.
# mypy: disable-error-code="no-untyped-def"

import numpy as np

from seq2seq.mappings.cpu.compilation import exact

ROOT_HALF = np.int64(0x3FE6A09E667F3BCC)  # the bits of √½
LN2_HIGH, LN2_LOW = 0.693147180369123816490, 1.90821492927058770002e-10


@exact
def to_bits(x):
    """Return the int64 with the bits of a float64."""
    return np.float64(x).view(np.int64)


@exact
def from_bits(bits):
    """Return the float64 with the bits of an int64."""
    return np.int64(bits).view(np.float64)


@exact
def log(x):
    """Return log x of a normal x > 0: x = 2^k m with m in [√½, √2), and log m by 2·artanh."""
    bits = to_bits(x) - ROOT_HALF
    k = bits >> np.int64(52)
    m = from_bits(to_bits(x) - (k << np.int64(52)))
    t = (m - 1.0) / (m + 1.0)
    q = t * t
    series = 1 / 3 + q * (
        1 / 5
        + q
        * (1 / 7 + q * (1 / 9 + q * (1 / 11 + q * (1 / 13 + q * (1 / 15 + q * (1 / 17 + q / 19))))))
    )
    exponent = float(k)
    return exponent * LN2_HIGH + (2.0 * t + (2.0 * t * q * series + exponent * LN2_LOW))


@exact
def log1p(z, inverse):
    """Return log(1 + z), z > −1, corrected for the rounding of 1 + z; ``inverse`` is 1/(1 + z)."""
    w = 1.0 + z
    return log(w) + (z - (w - 1.0)) * inverse


@exact
def exp(x):
    """Return exp x for x ≤ 700; 0 if it is below the normal numbers."""
    x = max(x, -708.0)
    shifted = x * 1.4426950408889634 + 6755399441055744.0  # 1.5·2⁵²: rounds to a whole number
    k = to_bits(shifted) - to_bits(6755399441055744.0)
    whole = shifted - 6755399441055744.0
    r = (x - whole * LN2_HIGH) - whole * LN2_LOW
    series = 1 / 720 + r * (
        1 / 5040 + r * (1 / 40320 + r * (1 / 362880 + r * (1 / 3628800 + r / 39916800)))
    )
    series = 1 / 2 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120 + r * series)))
    value = 1.0 + r * (1.0 + r * series)
    scale = from_bits((k + np.int64(1023)) << np.int64(52))
    return value * scale if x > -708.0 else 0.0


@exact
def power(x, exponent):
    """Return x^exponent for x ≥ 0; 0 if x is 0."""
    positive = x > 1e-300
    raised = exp(exponent * log(x if positive else 1.0))
    return raised if positive else 0.0
