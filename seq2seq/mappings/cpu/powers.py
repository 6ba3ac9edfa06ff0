"""Logarithm, exponential and power in arithmetic that compilers vectorize.

Of doubles to 1e-16; and, by names that end in ``_single``, of floats to 3e-7, in a quarter of the
time and with twice as many at once.
"""

# What is compiled is typed by the compiler, not by annotations.
# mypy: disable-error-code="no-untyped-def"

import math

import numpy as np

from seq2seq.mappings.cpu.compilation import exact, from_bits, to_bits

ROOT_HALF = np.int64(0x3FE6A09E667F3BCC)  # the bits of √½
LN2_HIGH, LN2_LOW = 0.693147180369123816490, 1.90821492927058770002e-10

# Of single precision. Numbers are typed one by one, or numba would compute in doubles.
single, whole_single = np.float32, np.int32
LEAST_SINGLE, LOWEST_SINGLE = single(1e-37), single(-1e30)
ZERO, ONE = single(0.0), single(1.0)
ROOT_HALF_SINGLE, MANTISSA, BIAS = whole_single(0x3F3504F3), whole_single(23), whole_single(127)
ROUND, ROUND_BITS = single(12582912.0), whole_single(0x4B400000)  # 1.5·2²³ rounds as above
LOWEST_EXPONENT = single(-126.0)
L1, L3, L5, L7, L9 = (single(2.0 / (k * math.log(2.0))) for k in (1, 3, 5, 7, 9))
E1, E2, E3, E4, E5, E6 = (single(math.log(2.0) ** k / math.factorial(k)) for k in range(1, 7))


@exact
def log(x):
    """Log x of a normal x > 0, to 1e-16: x = 2^k m with m in [√½, √2), log m by 2·artanh."""
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
    """Log (1 + z) of z > −1, with what is lost of z in 1 + z; ``inverse`` is 1/(1 + z)."""
    w = 1.0 + z
    return log(w) + (z - (w - 1.0)) * inverse


@exact
def exp(x):
    """Exp x for x ≤ 700; 0 where it would be below the normal numbers."""
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
    """x^exponent for x ≥ 0; 0 where x is 0."""
    positive = x > 1e-300
    raised = exp(exponent * log(x if positive else 1.0))
    return raised if positive else 0.0


@exact
def log2_single(x):
    """Log₂ x of a normal float x > 0, as ``log``."""
    bits = whole_single(to_bits(x) - ROOT_HALF_SINGLE)
    k = whole_single(bits >> MANTISSA)
    m = from_bits(whole_single(to_bits(x) - whole_single(k << MANTISSA)))
    t = (m - ONE) / (m + ONE)
    q = t * t
    return single(k) + t * (L1 + q * (L3 + q * (L5 + q * (L7 + q * L9))))


@exact
def exp2_single(x):
    """2^x for a float x ≤ 126; about 1e-38 where it would be less."""
    x = max(x, LOWEST_EXPONENT)
    shifted = x + ROUND
    k = whole_single(to_bits(shifted) - ROUND_BITS)
    r = x - (shifted - ROUND)
    value = ONE + r * (E1 + r * (E2 + r * (E3 + r * (E4 + r * (E5 + r * E6)))))
    return value * from_bits(whole_single(whole_single(k + BIAS) << MANTISSA))
