"""A bitonic sort of rows that tells where each value came from."""

import triton
import triton.language as tl


@triton.jit
def _exchange(values, column, order, distance: tl.constexpr, BITS: tl.constexpr):
    """Put pairs of positions ``distance`` apart in order, the larger value where ``order`` is 0.

    Seen as ``[pairs, 2, distance]``, a pair lies along the middle: what the other holds is their
    sum, as integers, which wrap around, less one's own.
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
    """Rows ``[ROWS, LENGTH]`` in decreasing order, and the column that each value had.

    Sorted stretches, alternately decreasing and increasing, are merged in pairs until the row is
    one stretch. No NaN among the values.
    """
    bits: tl.constexpr = tl.int32 if values.dtype == tl.float32 else tl.int64
    length: tl.constexpr = values.shape[1]
    position = column
    for stage in tl.static_range(1, 13):
        if (1 << stage) <= length:
            # In the last stage this bit is beyond the row, 0: the whole row decreases.
            increasing = (position >> stage) & 1
            for step in tl.static_range(0, stage):
                second = (position >> (stage - 1 - step)) & 1
                values, column = _exchange(
                    values, column, increasing ^ second, 1 << (stage - 1 - step), bits
                )
    return values, column
