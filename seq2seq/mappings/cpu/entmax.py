"""Entmax, compiled: y = (1 + (α − 1)(x − c))_+^{1/(α − 1)} with Σy = 1."""

# What is compiled is typed by the compiler, not by annotations.
# mypy: disable-error-code="no-untyped-def"

import math

from numba import carray

from seq2seq.mappings.cpu.compilation import (
    PADDED,
    SINGLE,
    VALUES,
    count_above,
    finite,
    jit,
    sums_above,
)
from seq2seq.mappings.cpu.powers import (
    LEAST_SINGLE,
    LOWEST_SINGLE,
    ONE,
    ZERO,
    exp,
    exp2_single,
    log1p,
    log2_single,
    power,
    single,
)
from seq2seq.mappings.cpu.scan import padded
from seq2seq.mappings.cpu.sparsemax import project, threshold

LEAST = 745.0  # exp(−745) is 0
SOFTMAX = 1e-13  # α − 1 up to here makes no difference
# From a sum so near to 1, a step by the first two derivatives of y ends below the rounding; where y
# is steep, at a > ½, only from nearer.
CLOSE, CLOSER, CLOSER_SINGLE = 1e-4, 1e-13, 3e-7
# Where a is in the range ROUGH, single precision brings the sum near, from where a step gets close;
# in the range FINAL it does for the weights too, if they are wanted in single precision.
ROUGH, NEAR, NEARER = (0.01, 1.0), 0.1, 1e-3
FINAL = (0.25, 0.5)


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


@finite
def rough_sums(x, count, a, c, y, s):
    """``sums`` in single precision, to a millionth where a ≥ ¼."""
    total, slope, curve, r = ZERO, ZERO, ZERO, ONE / a
    for i in range(padded(count)):
        z = ONE + a * (x[i] - c)
        inside = z > LEAST_SINGLE
        z = z if inside else ONE
        inverse = ONE / z
        raised = exp2_single(log2_single(z) * r)
        y[i] = raised if inside else ZERO
        s[i] = raised * inverse if inside else ZERO
        total += y[i]
        slope += s[i]
        curve += s[i] * inverse
    return total, slope, curve


@jit
def halley(total, slope, curve, a):
    """How far c is to move, by Halley's method on the norm F^a of 1 + a(x − c), F = Σy.

    For α ≤ 2 the norm is convex in c and nearly straight.
    """
    grown = math.log(max(total, 1e-300))
    step = (1.0 - math.exp(-a * grown)) / a if a > 1e-3 else grown
    step *= total / max(slope, 1e-300)
    bend = 0.5 * (1.0 - a) * step * (curve / max(slope, 1e-300) - slope / max(total, 1e-300))
    return step / min(max(1.0 - bend, 0.5), 2.0)


@finite
def copy_single(x, count, y):
    """``x`` in single precision, padded; returns −Σx."""
    total = ZERO
    for i in range(count):
        y[i] = single(x[i])
        total -= y[i]
    for i in range(count, padded(count)):
        y[i] = LOWEST_SINGLE
    return total


@jit
def rough_root(x, count, a, final, y, s, spare):
    """In single precision, a c near the root, or, if ``final``, the y close to it.

    Returns c, which may be a step further than the y last computed, and Σy and Σs at these.
    """
    size, floats = count + PADDED, spare.view(single)
    near_x, near_y, near_s = floats[:size], floats[size : 2 * size], floats[2 * size :]
    rough_a, high = single(a), 1.0 / a
    c, near = 0.0, NEAR
    if a > 0.5:  # first of all: the guess scribbles where the floats will be
        c, near = min(max(guess(x, count, a, spare), 0.0), high), NEARER
    gaps = copy_single(x, count, near_x)
    if a <= 0.5:  # that of equal scores, less where they are spread: within a factor of 3 or so
        equal = ONE - exp2_single(-rough_a * log2_single(single(count)))
        c = float(equal / (rough_a * (ONE + gaps / single(count))))
    total, slope = 1.0, 1.0
    for _ in range(8):
        sums = rough_sums(near_x, count, rough_a, single(c), near_y, near_s)
        total, slope, curve = float(sums[0]), float(sums[1]), float(sums[2])
        error = abs(total - 1.0)
        if final and error <= CLOSE:
            break
        c = min(max(c + halley(total, slope, curve, a), 0.0), high)
        if not final and error <= near:
            break
    if final:
        for i in range(count):
            y[i], s[i] = near_y[i], near_s[i]
    return c, total, slope


@jit
def root(x, count, a, asked, y, s, spare):
    """The y of Σy = 1, by Halley's method within bounds: the largest y is between 0 and 1."""
    low, high, before = 0.0, 1.0 / a, math.inf
    final = asked == SINGLE and FINAL[0] <= a <= FINAL[1]
    close = CLOSE
    if a > 0.5:
        close = CLOSER_SINGLE if asked == SINGLE else CLOSER
    total, slope = 1.0, 1.0
    if ROUGH[0] <= a <= ROUGH[1]:
        c, total, slope = rough_root(x, count, a, final, y, s, spare)
    else:
        c = min(max(guess(x, count, a, s), low), high)
    if not final or abs(total - 1.0) > CLOSE:
        for _ in range(100):
            total, slope, curve = sums(x, count, a, c, y, s)
            if abs(total - 1.0) <= close:
                break
            if total > 1.0:
                low = c
            else:
                high = c
            step = halley(total, slope, curve, a)
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


def solve(values, _, places, count, length, alpha, result, work, order, asked):
    """Weights; returns ⟨y, x⟩ − Σ(y^α − y)/(α(α − 1)) if wanted."""
    size = count + PADDED
    x, y, floats = carray(values, size), carray(result, size), carray(work, 3 * size)
    s, spare = floats[:size], floats[size:]
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
        root(x, count, a, asked, y, s, spare)
    return objective(x, count, y, a) if asked & VALUES else 0.0


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


@finite
def rough_slopes(x, count, exponent, s):
    """``slopes`` in single precision; 0 where y is below its normal numbers."""
    for i in range(padded(count)):
        inside = x[i] > LEAST_SINGLE
        raised = exp2_single(log2_single(x[i] if inside else ONE) * exponent)
        s[i] = raised if inside else ZERO


def product(weights, vectors, places, count, length, alpha, result, work, order, asked):
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
    elif asked & SINGLE and FINAL[0] <= alpha - 1.0 <= FINAL[1]:
        size = count + PADDED
        floats = carray(work, 2 * size)[size:].view(single)
        near_y, near_s = floats[:size], floats[size:]
        copy_single(y, count, near_y)
        rough_slopes(near_y, count, single(2.0 - alpha), near_s)
        for i in range(count):
            s[i] = near_s[i]
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
