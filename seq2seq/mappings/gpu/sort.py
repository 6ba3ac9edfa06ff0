"""A bitonic sort of rows that also returns the original column of each value."""

import triton
import triton.language as tl


@triton.jit
def _exchange(values, column, order, distance: tl.constexpr, BITS: tl.constexpr):
    """Put positions ``distance`` apart in order: the larger value first where ``order`` is 0.

    As ``[pairs, 2, distance]``, a pair lies along the middle dimension. The value of the other
    position is the sum of the pair less the own value, computed on the bits as integers, which wrap
    around.
    """
    shape: tl.constexpr = values.shape
    pairs: tl.constexpr = shape[0] * shape[1] // (2 * distance)
    values = tl.reshape(values, [pairs, 2, distance])
    column = tl.reshape(column, [pairs, 2, distance])
    order = tl.reshape(order, [pairs, 2, distance])
    bits = values.to(BITS, bitcast=True)
    other = (tl.sum(bits, axis=1, keep_dims=True) - bits).to(values.dtype, bitcast=True)
    other_column = tl.sum(column, axis=1, keep_dims=True) - column
    swap = ((order == 0) & (other > values)) | ((order != 0) & (other < values))
    values = tl.where(swap, other, values)
    column = tl.where(swap, other_column, column)
    return tl.reshape(values, shape), tl.reshape(column, shape)


@triton.jit
def sort_descending(values, column):
    """Return rows ``[ROWS, LENGTH]`` in decreasing order, and the original column of each value.

    The sort merges pairs of sorted stretches, one decreasing and one increasing, until the row is
    one stretch. The values must not contain NaN.
    """
    bits: tl.constexpr = tl.int32 if values.dtype == tl.float32 else tl.int64
    length: tl.constexpr = values.shape[1]
    position = column
    for stage in tl.static_range(1, 13):
        if (1 << stage) <= length:
            # In the last stage this bit is 0 for the whole row, so the row decreases.
            increasing = (position >> stage) & 1
            for step in tl.static_range(0, stage):
                second = (position >> (stage - 1 - step)) & 1
                values, column = _exchange(
                    values, column, increasing ^ second, 1 << (stage - 1 - step), bits
                )
    return values, column
