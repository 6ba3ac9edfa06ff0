"""Functions that all passes of blockwise attention share: a tile of scores, weights and slopes."""

import triton
import triton.language as tl

from seq2seq.mappings.gpu.root import log1p


@triton.jit
def place(blocks, heads):
    """Return block, sentence and head of this program, in a grid of one dimension.

    A second or third dimension of a grid would limit the number of programs.
    """
    program = tl.program_id(0)
    pair = program // blocks
    return program % blocks, (pair // heads).to(tl.int64), (pair % heads).to(tl.int64)


@triton.jit
def load(pointer, position, there, feature, width, step, feature_step):
    """Return ``[positions, features]``, with 0 at positions that are not ``there``."""
    inside = there[:, None] & (feature < width)[None, :]
    where = position[:, None].to(tl.int64) * step + feature[None, :] * feature_step
    return tl.load(pointer + where, mask=inside, other=0.0)


@triton.jit
def store(pointer, values, position, there, feature, width, step, feature_step):
    """Write ``[positions, features]`` in the type of the tensor."""
    inside = there[:, None] & (feature < width)[None, :]
    where = position[:, None].to(tl.int64) * step + feature[None, :] * feature_step
    tl.store(pointer + where, values.to(pointer.dtype.element_ty), mask=inside)


@triton.jit
def attended(mask, column, source, mask_step, HAS_MASK: tl.constexpr):
    """Return True where a key exists and is not masked."""
    there = column < source
    if HAS_MASK:
        there = there & (tl.load(mask + column.to(tl.int64) * mask_step, mask=there, other=0) != 0)
    return there


@triton.jit
def scores(q, k, row, column, asks, there, CAUSAL: tl.constexpr):
    """Return ⟨q, k⟩, ``[rows, columns]``, with −inf where a row may not attend."""
    s = tl.dot(q, tl.trans(k), input_precision="ieee")
    allowed = there[None, :] & asks[:, None]
    if CAUSAL:
        allowed = allowed & (column[None, :] <= row[:, None])
    return tl.where(allowed, s, float("-inf"))


@triton.jit
def weights(s, maximum, c, factor, a, KIND: tl.constexpr):
    """Return the weights y = v^{1/a} and their slopes dy/dx = v^{1/a − 1}.

    Here v = (1 + a(x − c))_+ and x = factor·(s − max s). KIND is 2 for α = 2 and 1 for α = 1.5,
    which need no logarithm, and 0 for any other α.
    """
    z = a * ((s - maximum[:, None]) * factor - c[:, None])
    positive = z > -1.0
    v = tl.where(positive, 1.0 + z, 0.0)
    if KIND == 2:
        return v, tl.where(v > 0, 1.0, 0.0)
    elif KIND == 1:
        return v * v, v
    else:
        y = tl.exp(log1p(tl.where(positive, z, 0.0)) / a)
        slope = tl.minimum(y / tl.where(v > 0, v, 1.0), 8e6)  # for α > 2, unbounded as y → 0
        return tl.where(v > 0, y, 0.0), tl.where(v > 0, slope, 0.0)
