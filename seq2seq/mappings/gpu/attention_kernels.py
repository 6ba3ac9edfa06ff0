"""Blockwise attention: the kernels of the forward and the backward pass.

Every pass over the keys recomputes the scores, which never leave the chip. Between the passes, the
kernels store the maximum of each query's scores and its threshold c.
"""

import triton
import triton.language as tl

from seq2seq.mappings.gpu.attention_tiles import attended, load, place, scores, store, weights
from seq2seq.mappings.gpu.root import advance, rounding


@triton.jit
def forward(
    query, key, value, mask, output, maxima, thresholds,
    q0, q1, q2, q3, k0, k1, k2, k3, v0, v1, v2, v3, o0, o1, o2, o3, m0, m3,
    heads, target, source, width, value_width, factor, a,
    KIND: tl.constexpr, CAUSAL: tl.constexpr, HAS_MASK: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, WIDTH: tl.constexpr, VALUE_WIDTH: tl.constexpr,
):  # fmt: skip
    """Compute Π(q kᵀ)·v for ROWS queries: their maxima, thresholds, then weighted values."""
    block, sentence, head = place(tl.cdiv(target, ROWS), heads)
    row, column = block * ROWS + tl.arange(0, ROWS), tl.arange(0, COLUMNS)
    asks = row < target
    feature, value_feature = tl.arange(0, WIDTH), tl.arange(0, VALUE_WIDTH)
    key += sentence * k0 + head * k1
    value += sentence * v0 + head * v1
    if HAS_MASK:
        mask += sentence * m0
    q = load(query + sentence * q0 + head * q1, row, asks, feature, width, q2, q3)
    end = source
    if CAUSAL:
        end = tl.minimum(source, (block + 1) * ROWS)

    maximum = tl.full([ROWS], float("-inf"), tl.float32)
    count, poison = tl.zeros([ROWS], tl.float32), tl.zeros([ROWS], tl.int32)
    for start in range(0, end, COLUMNS):
        there = attended(mask, start + column, source, m3, HAS_MASK)
        k = load(key, start + column, there, feature, width, k2, k3)
        s = scores(q, k, row, start + column, asks, there, CAUSAL)
        odd = (s < float("inf")) == 0  # True for +inf and for NaN
        maximum = tl.maximum(maximum, tl.max(tl.where(odd, float("-inf"), s), axis=1))
        count += tl.sum((s > float("-inf")).to(tl.float32), axis=1)
        poison = tl.maximum(poison, tl.max(odd.to(tl.int32), axis=1))
    maximum = tl.where(maximum > float("-inf"), maximum, 0.0)

    # Newton's method on ((Σy)^a − 1)/a in −c, between 0 and the point where the largest y is
    # 1/count.
    least = tl.exp(-a * tl.log(tl.maximum(count, 1.0)))
    high = tl.zeros([ROWS], tl.float32)
    low, t, previous = 1.001 * (least - 1.0) / a, high, high + float("inf")
    going = 60
    while going > 0:
        total, slope = tl.zeros([ROWS], tl.float32), tl.zeros([ROWS], tl.float32)
        for start in range(0, end, COLUMNS):
            there = attended(mask, start + column, source, m3, HAS_MASK)
            k = load(key, start + column, there, feature, width, k2, k3)
            s = scores(q, k, row, start + column, asks, there, CAUSAL)
            y, slopes = weights(s, maximum, -t, factor, a, KIND)
            total += tl.sum(y, axis=1)
            slope += tl.sum(slopes, axis=1)
        size = tl.log(tl.maximum(total, 1e-30))
        z = -a * size
        straight = tl.where(tl.abs(z) < 1e-2, z * (1.0 + 0.5 * z), tl.exp(z) - 1.0)
        step = total * straight / (a * tl.maximum(slope, 1e-30))
        t, low, high, previous, settled = advance(
            t, size, step, low, high, previous, rounding(t), 8 * rounding(t)
        )
        unsettled = tl.max(((settled == 0) & (count > 0)).to(tl.int32), axis=0)
        going = tl.where(unsettled > 0, going - 1, 0)

    out = tl.zeros([ROWS, VALUE_WIDTH], tl.float32)
    for start in range(0, end, COLUMNS):
        there = attended(mask, start + column, source, m3, HAS_MASK)
        k = load(key, start + column, there, feature, width, k2, k3)
        s = scores(q, k, row, start + column, asks, there, CAUSAL)
        y, slopes = weights(s, maximum, -t, factor, a, KIND)
        if tl.max(y) > 0:  # most blocks of long rows hold no support
            v = load(value, start + column, there, value_feature, value_width, v2, v3)
            out += tl.dot(y.to(v.dtype), v, input_precision="ieee")
    out = tl.where((poison != 0)[:, None], float("nan"), out)
    output += sentence * o0 + head * o1
    store(output, out, row, asks, value_feature, value_width, o2, o3)
    place_of_row = (sentence * heads + head) * target + row
    tl.store(maxima + place_of_row, maximum, mask=asks)
    c = tl.where(poison != 0, float("nan"), -t)
    tl.store(thresholds + place_of_row, c, mask=asks)


@triton.jit
def backward_query(
    query, key, value, mask, gradient, maxima, thresholds, means, query_gradient,
    q0, q1, q2, q3, k0, k1, k2, k3, v0, v1, v2, v3, g0, g1, g2, g3, d0, d1, d2, d3, m0, m3,
    heads, target, source, width, value_width, factor, a,
    KIND: tl.constexpr, CAUSAL: tl.constexpr, HAS_MASK: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, WIDTH: tl.constexpr, VALUE_WIDTH: tl.constexpr,
):  # fmt: skip
    """Compute the gradient dq = dx·k of ROWS queries.

    Here dx = s∘(dy − mean), with mean = Σ s·dy / Σ s.
    """
    block, sentence, head = place(tl.cdiv(target, ROWS), heads)
    row, column = block * ROWS + tl.arange(0, ROWS), tl.arange(0, COLUMNS)
    asks = row < target
    feature, value_feature = tl.arange(0, WIDTH), tl.arange(0, VALUE_WIDTH)
    key += sentence * k0 + head * k1
    value += sentence * v0 + head * v1
    gradient += sentence * g0 + head * g1
    query_gradient += sentence * d0 + head * d1
    if HAS_MASK:
        mask += sentence * m0
    q = load(query + sentence * q0 + head * q1, row, asks, feature, width, q2, q3)
    g = load(gradient, row, asks, value_feature, value_width, g2, g3)
    place_of_row = (sentence * heads + head) * target + row
    maximum = tl.load(maxima + place_of_row, mask=asks, other=0.0)
    c = tl.load(thresholds + place_of_row, mask=asks, other=0.0)
    end = source
    if CAUSAL:
        end = tl.minimum(source, (block + 1) * ROWS)

    product, total = tl.zeros([ROWS], tl.float32), tl.zeros([ROWS], tl.float32)
    for start in range(0, end, COLUMNS):
        there = attended(mask, start + column, source, m3, HAS_MASK)
        k = load(key, start + column, there, feature, width, k2, k3)
        s = scores(q, k, row, start + column, asks, there, CAUSAL)
        y, slopes = weights(s, maximum, c, factor, a, KIND)
        if tl.max(y) > 0:
            v = load(value, start + column, there, value_feature, value_width, v2, v3)
            product += tl.sum(slopes * tl.dot(g, tl.trans(v), input_precision="ieee"), axis=1)
            total += tl.sum(slopes, axis=1)
    mean = product / tl.where(total > 0, total, 1.0)
    tl.store(means + place_of_row, mean, mask=asks)

    dq = tl.zeros([ROWS, WIDTH], tl.float32)
    for start in range(0, end, COLUMNS):
        there = attended(mask, start + column, source, m3, HAS_MASK)
        k = load(key, start + column, there, feature, width, k2, k3)
        s = scores(q, k, row, start + column, asks, there, CAUSAL)
        y, slopes = weights(s, maximum, c, factor, a, KIND)
        if tl.max(y) > 0:
            v = load(value, start + column, there, value_feature, value_width, v2, v3)
            dy = tl.dot(g, tl.trans(v), input_precision="ieee")
            dx = slopes * (dy - mean[:, None])
            dq += tl.dot(dx.to(k.dtype), k, input_precision="ieee")
    dq = tl.where((c != c)[:, None], float("nan"), dq * factor)
    store(query_gradient, dq, row, asks, feature, width, d2, d3)


@triton.jit
def backward_key(
    query, key, value, mask, gradient, maxima, thresholds, means, key_gradient, value_gradient,
    q0, q1, q2, q3, k0, k1, k2, k3, v0, v1, v2, v3, g0, g1, g2, g3,
    d0, d1, d2, d3, e0, e1, e2, e3, m0, m3,
    heads, target, source, width, value_width, factor, a,
    KIND: tl.constexpr, CAUSAL: tl.constexpr, HAS_MASK: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, WIDTH: tl.constexpr, VALUE_WIDTH: tl.constexpr,
):  # fmt: skip
    """Compute the gradients dk = dxᵀ·q and dv = yᵀ·g of COLUMNS keys, over all queries."""
    block, sentence, head = place(tl.cdiv(source, COLUMNS), heads)
    column, offset = block * COLUMNS + tl.arange(0, COLUMNS), tl.arange(0, ROWS)
    feature, value_feature = tl.arange(0, WIDTH), tl.arange(0, VALUE_WIDTH)
    query += sentence * q0 + head * q1
    gradient += sentence * g0 + head * g1
    if HAS_MASK:
        mask += sentence * m0
    there = attended(mask, column, source, m3, HAS_MASK)
    k = load(key + sentence * k0 + head * k1, column, there, feature, width, k2, k3)
    value += sentence * v0 + head * v1
    v = load(value, column, there, value_feature, value_width, v2, v3)
    first = 0
    if CAUSAL:
        first = block * COLUMNS // ROWS * ROWS
    dk = tl.zeros([COLUMNS, WIDTH], tl.float32)
    dv = tl.zeros([COLUMNS, VALUE_WIDTH], tl.float32)
    for start in range(first, target, ROWS):
        row = start + offset
        asks = row < target
        q = load(query, row, asks, feature, width, q2, q3)
        place_of_row = (sentence * heads + head) * target + row
        maximum = tl.load(maxima + place_of_row, mask=asks, other=0.0)
        c = tl.load(thresholds + place_of_row, mask=asks, other=0.0)
        s = scores(q, k, row, column, asks, there, CAUSAL)
        y, slopes = weights(s, maximum, c, factor, a, KIND)
        if tl.max(y) > 0:
            mean = tl.load(means + place_of_row, mask=asks, other=0.0)
            g = load(gradient, row, asks, value_feature, value_width, g2, g3)
            dv += tl.dot(tl.trans(y.to(g.dtype)), g, input_precision="ieee")
            dy = tl.dot(g, tl.trans(v), input_precision="ieee")
            dx = slopes * (dy - mean[:, None])
            dk += tl.dot(tl.trans(dx.to(q.dtype)), q, input_precision="ieee")
    key_gradient += sentence * d0 + head * d1
    store(key_gradient, dk * factor, column, column < source, feature, width, d2, d3)
    value_gradient += sentence * e0 + head * e1
    store(value_gradient, dv, column, column < source, value_feature, value_width, e2, e3)
