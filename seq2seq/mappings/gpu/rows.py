"""The two kernels that all mappings share: read rows, apply the mapping, write rows.

A program holds ``ROWS`` rows as a tile ``[ROWS, LENGTH]``, where LENGTH is the next power of 2. The
mapping, a device function, is compiled into the kernel.
"""

import triton
import triton.language as tl

from seq2seq.mappings.gpu.sort import sort_descending


@triton.jit
def any_of(flags):
    """Return 1 if any flag of a tile is set, else 0: the condition of a loop."""
    return tl.max(tl.max(flags.to(tl.int32), axis=1), axis=0)


@triton.jit
def _start(row, size1, size2, step0, step1, step2):
    """Return the offset of a row in elements, from its number as three leading indices."""
    upper = row // size2
    return (upper // size1) * step0 + (upper % size1) * step1 + (row % size2) * step2


@triton.jit
def forward_kernel(
    scores,
    weights,
    mask,
    gamma,
    theta,
    gamma_value,
    theta_value,
    rows,
    length,
    size1,
    size2,
    x0,
    x1,
    x2,
    x3,
    m0,
    m1,
    m2,
    m3,
    g0,
    g1,
    g2,
    t0,
    t1,
    t2,
    MAP: tl.constexpr,
    HAS_MASK: tl.constexpr,
    HAS_GAMMA: tl.constexpr,
    HAS_THETA: tl.constexpr,
    SORTED: tl.constexpr,
    COMPUTE: tl.constexpr,
    ROWS: tl.constexpr,
    LENGTH: tl.constexpr,
):
    """Write the weights of ROWS rows: MAP of (x − max x)/γ, the valid positions, and θ."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]
    column = tl.arange(0, LENGTH)[None, :].to(tl.int64)
    real = row < rows
    kept = real & (column < length)
    start = _start(row, size1, size2, x0, x1, x2)
    x = tl.load(scores + start + column * x3, mask=kept, other=float("-inf")).to(COMPUTE)
    if HAS_MASK:
        start = _start(row, size1, size2, m0, m1, m2)
        attended = tl.load(mask + start + column * m3, mask=kept, other=0)
        kept = kept & (attended != 0)
        x = tl.where(kept, x, float("-inf"))
    valid = (x > float("-inf")) & (x < float("inf"))
    poisoned = kept & (x != float("-inf")) & (valid == 0)  # NaN and +inf
    poison = tl.max(poisoned.to(tl.int32), axis=1, keep_dims=True)
    maximum = tl.max(tl.where(valid, x, float("-inf")), axis=1, keep_dims=True)
    x = tl.where(valid, x - tl.where(maximum > float("-inf"), maximum, 0.0), 0.0)
    if HAS_GAMMA:
        x /= tl.load(gamma + _start(row, size1, size2, g0, g1, g2), mask=real, other=1.0).to(
            COMPUTE
        )
    else:
        x /= gamma_value
    if HAS_THETA:
        parameter = tl.load(theta + _start(row, size1, size2, t0, t1, t2), mask=real, other=1.5)
        parameter = parameter.to(COMPUTE)
    else:
        parameter = tl.zeros([ROWS, 1], COMPUTE) + theta_value
    x = tl.where(valid, x, float("-inf"))
    if SORTED:
        x, column = sort_descending(x, column.to(tl.int32) + tl.zeros_like(x).to(tl.int32))
        valid = x > float("-inf")
    y = tl.where(valid, MAP(x, valid, parameter), 0.0)
    y = tl.where(poison != 0, float("nan"), y)
    inside = real & (column < length)
    tl.store(weights + row * length + column, y.to(weights.dtype.element_ty), mask=inside)


@triton.jit
def backward_kernel(
    weights,
    vectors,
    products,
    scores,
    mask,
    gamma,
    theta,
    gamma_value,
    theta_value,
    rows,
    length,
    size1,
    size2,
    x0,
    x1,
    x2,
    x3,
    m0,
    m1,
    m2,
    m3,
    g0,
    g1,
    g2,
    t0,
    t1,
    t2,
    MAP: tl.constexpr,
    HAS_SCORES: tl.constexpr,
    HAS_MASK: tl.constexpr,
    HAS_GAMMA: tl.constexpr,
    HAS_THETA: tl.constexpr,
    SORTED: tl.constexpr,
    COMPUTE: tl.constexpr,
    ROWS: tl.constexpr,
    LENGTH: tl.constexpr,
):
    """Write J·v/γ of ROWS rows: MAP of the weights, v, the valid positions, and θ."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]
    column = tl.arange(0, LENGTH)[None, :].to(tl.int64)
    real = row < rows
    inside = real & (column < length)
    y = tl.load(weights + row * length + column, mask=inside, other=0.0).to(COMPUTE)
    poison = tl.max((y != y).to(tl.int32), axis=1, keep_dims=True)
    y = tl.where(y > 0, y, 0.0)
    if SORTED:
        y, column = sort_descending(y, column.to(tl.int32) + tl.zeros_like(y).to(tl.int32))
        inside = real & (column < length)
    v = tl.load(vectors + row * length + column, mask=inside, other=0.0).to(COMPUTE)
    v = tl.where(y > 0, v, 0.0)
    valid = inside
    if HAS_SCORES:
        start = _start(row, size1, size2, x0, x1, x2)
        x = tl.load(scores + start + column * x3, mask=inside, other=float("-inf"))
        valid = valid & (x != float("-inf"))
    if HAS_MASK:
        start = _start(row, size1, size2, m0, m1, m2)
        valid = valid & (tl.load(mask + start + column * m3, mask=inside, other=0) != 0)
    if HAS_THETA:
        parameter = tl.load(theta + _start(row, size1, size2, t0, t1, t2), mask=real, other=1.5)
        parameter = parameter.to(COMPUTE)
    else:
        parameter = tl.zeros([ROWS, 1], COMPUTE) + theta_value
    product = MAP(y, v, valid, parameter)
    if HAS_GAMMA:
        strength = tl.load(gamma + _start(row, size1, size2, g0, g1, g2), mask=real, other=1.0)
        product /= strength.to(COMPUTE)
    else:
        product /= gamma_value
    product = tl.where(y > 0, product, 0.0)
    product = tl.where(poison != 0, float("nan"), product)
    product = product.to(products.dtype.element_ty)
    tl.store(products + row * length + column, product, mask=inside)
