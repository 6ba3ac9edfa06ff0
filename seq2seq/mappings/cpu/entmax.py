"""Entmax, compiled: y = (1 + (α − 1)(x − c))_+^{1/(α − 1)} with Σy = 1."""

# What is compiled is typed by the compiler, not by annotations.
# mypy: disable-error-code="no-untyped-def"

import math

from numba import carray

from seq2seq.mappings.cpu.compilation import (
    PADDED,
    count_above,
    finite,
    jit,
    sums_above,
)
from seq2seq.mappings.cpu.powers import exp, log1p, power
from seq2seq.mappings.cpu.scan import padded
from seq2seq.mappings.cpu.sparsemax import project, threshold

LEAST = 745.0  # exp(−745) is 0
SOFTMAX = 1e-13  # α − 1 up to here makes no difference
# From a sum so near to 1, a step by the first two derivatives of y ends below the rounding; where y
# is steep, at a > ½, only from nearer.
CLOSE, CLOSER = 1e-4, 1e-13


def reach(alpha, length):
    """Y > 0 needs x − c > −1/(α − 1), and c ≥ max x."""
    return min(1.0 / (alpha - 1.0), LEAST) if alpha > 1.0 else LEAST


@jit
def root_of_squares(x, count):
    """The τ of Σ(x − τ)²_+ = 1, for padded ``x`` whose largest is 0.

    On a given support τ is a root of a quadratic equation, which is exact if the support is its
    own. If not, Newton's method on the norm, which is convex, finds a better support from below.
    """
    tau = -1.0
    while True:
        active, total, squares = sums_above(x, count, tau)
        inner = total * total - active * (squares - 1.0)
        if inner >= 0.0:
            exact = (total - math.sqrt(inner)) / active
            if count_above(x, count, exact) == active:
                return exact
        norm = math.sqrt(squares - tau * (2.0 * total - tau * active))
        step = (norm - 1.0) * norm / (total - tau * active)
        if not tau + step > tau:
            return tau
        tau += step


@finite
def sums(x, count, a, c, y, s):
    """The y of a c, and s = −dy/dc = y^{2 − α}; all padded. Returns Σy, Σs and Σs²/y."""
    total, slope, curve, r = 0.0, 0.0, 0.0, 1.0 / a
    for i in range(padded(count)):
        z = a * (x[i] - c)
        inside = z > -1.0
        z = z if inside else 0.0
        inverse = 1.0 / (1.0 + z)
        raised = exp(log1p(z, inverse) * r)
        y[i] = raised if inside else 0.0
        s[i] = raised * inverse if inside else 0.0
        total += y[i]
        slope += s[i]
        curve += s[i] * inverse
    return total, slope, curve


@finite
def exponentials(x, count, c, y):
    """The y of softmax, the limit α → 1; returns the sum."""
    total = 0.0
    for i in range(count):
        y[i] = exp(x[i] - c)
        total += y[i]
    return total


@jit
def guess(x, count, a, spare):
    """A c for any α from those of α = 1.5 and 2, which are cheap.

    n scores of −δ, the others hopeless, have c = (1 − n^{−a})/a − δ: with u = n^{−½}, the c of
    a = ½ less that of a = 1 is (1 − u)².
    """
    for i in range(padded(count)):
        spare[i] = 0.5 * x[i]
    half = 2.0 * (1.0 + root_of_squares(spare, count))
    whole = 1.0 + threshold(x, count)
    u = 1.0 - math.sqrt(max(half - whole, 0.0))
    delta = 2.0 * (1.0 - u) - half
    return -math.expm1(2.0 * a * math.log(max(u, 1e-9))) / a - delta


@jit
def root(x, count, a, y, s):
    """The y of Σy = 1, by Halley's method on the norm F^a of 1 + a(x − c), F = Σy, within bounds.

    For α ≤ 2 it is convex in c and nearly straight. The largest y is between 0 and 1.
    """
    low, high = 0.0, 1.0 / a
    before = math.inf
    c = min(max(guess(x, count, a, s), low), high)
    total, slope, curve = 1.0, 1.0, 1.0
    close = CLOSE if a <= 0.5 else CLOSER
    for _ in range(100):
        total, slope, curve = sums(x, count, a, c, y, s)
        if abs(total - 1.0) <= close:
            break
        if total > 1.0:
            low = c
        else:
            high = c
        grown = math.log(max(total, 1e-300))
        step = (1.0 - math.exp(-a * grown)) / a if a > 1e-3 else grown
        step *= total / max(slope, 1e-300)
        bend = 0.5 * (1.0 - a) * step * (curve / max(slope, 1e-300) - slope / max(total, 1e-300))
        step /= min(max(1.0 - bend, 0.5), 2.0)
        trusted = low <= c + step <= high and abs(total - 1.0) <= 0.5 * before
        before = abs(total - 1.0)
        c = c + step if trusted else 0.5 * (low + high)
        if high - low <= 2e-16 * high:
            break
    if abs(total - 1.0) > close:  # no c is near enough: what is too much at the one below goes
        total, slope, _ = sums(x, count, a, low, y, s)
    finish(y, s, count, a, (total - 1.0) / max(slope, 0.5))


@finite
def finish(y, s, count, a, step):
    """Move c by ``step``, by the derivatives −s and (1 − a)s²/y of y; then make the sum 1."""
    total, slope = 0.0, 0.0
    bend = 0.5 * (1.0 - a) * step * step if a <= 0.5 else 0.0
    for i in range(count):
        curved = s[i] * s[i] / y[i] if y[i] > 0.0 else 0.0
        y[i] = max(y[i] - s[i] * step + bend * curved, 0.0)
        total += y[i]
        slope += s[i]
    excess = (total - 1.0) / max(slope, 0.5)
    for i in range(count):
        y[i] = max(y[i] - s[i] * excess, 0.0)


def solve(values, _, places, count, length, alpha, result, work, order, wanted):
    """Weights; returns ⟨y, x⟩ − Σ(y^α − y)/(α(α − 1)) if wanted."""
    x, y = carray(values, count + PADDED), carray(result, count + PADDED)
    s = carray(work, count + PADDED)
    a = alpha - 1.0
    if alpha == 1.5:
        for i in range(count + PADDED):
            s[i] = 0.5 * x[i]
        tau = root_of_squares(s, count)
        for i in range(count):
            y[i] = max(s[i] - tau, 0.0) ** 2
    elif alpha == 2.0:
        project(x, count, y)
    elif a <= SOFTMAX:
        total = exponentials(x, count, 0.0, y)
        for i in range(count):
            y[i] /= total
    else:
        root(x, count, a, y, s)
    return objective(x, count, y, a) if wanted else 0.0


@finite
def objective(x, count, y, a):
    """⟨y, x⟩ − Σ(y^α − y)/(α(α − 1)) at the optimum, where (y^a − 1)/a = x − c on the support."""
    product, total, largest = 0.0, 0.0, 0.0
    for i in range(count):
        product += y[i] * x[i]
        total += y[i]
        largest = max(largest, y[i])
    grown = math.log(largest)  # the weight of x = 0
    c = -grown if a <= SOFTMAX else -math.expm1(a * grown) / a
    return (a * product + c * total) / (1.0 + a)


@finite
def slopes(y, count, exponent, s):
    """y^{2 − α} of the support, padded."""
    for i in range(padded(count)):
        s[i] = power(y[i], exponent)


def product(weights, vectors, places, count, length, alpha, result, work, order, _):
    """J·v = s∘(v − ⟨s, v⟩/Σs) with s = y^{2 − α} on the support.

    Above α = 2 the derivative is unbounded where y → 0; s is cut at 2⁵² there.
    """
    y, v = carray(weights, count + PADDED), carray(vectors, count)
    u, s = carray(result, count), carray(work, count + PADDED)
    if alpha == 1.5:
        for i in range(count):
            s[i] = math.sqrt(y[i])
    elif alpha == 2.0:
        for i in range(count):
            s[i] = 1.0
    else:
        slopes(y, count, 2.0 - alpha, s)
    total, mean = 0.0, 0.0
    for i in range(count):
        s[i] = min(s[i], 4503599627370496.0)
        total += s[i]
        mean += s[i] * v[i]
    mean /= total
    for i in range(count):
        u[i] = s[i] * (v[i] - mean)
    return 0.0
