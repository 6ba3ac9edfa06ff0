"""The candidates of a row in decreasing order, with the places they came from."""

# What is compiled is typed by the compiler, not by annotations.
# mypy: disable-error-code="no-untyped-def"

from seq2seq.mappings.cpu.compilation import count_above, jit

FEW = 24  # up to here, counting who is larger is fastest


@jit
def sort_descending(x, count, sorted_x, order, spare, spare_order):
    """``sorted_x`` = x[order] from large to small; ``x`` is padded."""
    if count <= FEW:
        rank(x, count, sorted_x, order)
        return
    for i in range(count):
        sorted_x[i] = x[i]
        order[i] = i
    merge_sort(sorted_x, order, count, spare, spare_order)


@jit
def rank(x, count, sorted_x, order):
    """Each goes to the place of as many as are larger; equals to the places behind."""
    for i in range(count):
        order[i] = -1
    for i in range(count):
        k = count_above(x, count, x[i])
        while order[k] >= 0:
            k += 1
        order[k] = i
        sorted_x[k] = x[i]


@jit
def merge_sort(x, order, count, spare, spare_order):
    """Merge neighboring runs of twice the length, again and again."""
    width = 1
    while width < count:
        for start in range(0, count, 2 * width):
            middle, end = min(start + width, count), min(start + 2 * width, count)
            i, j = start, middle
            for k in range(start, end):
                if i < middle and (j >= end or x[i] >= x[j]):
                    spare[k], spare_order[k] = x[i], order[i]
                    i += 1
                else:
                    spare[k], spare_order[k] = x[j], order[j]
                    j += 1
        for k in range(count):
            x[k], order[k] = spare[k], spare_order[k]
        width *= 2
