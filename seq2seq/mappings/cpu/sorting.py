"""Sorting the candidates of a row, with the places they came from."""

# What is compiled is typed by the compiler, not by annotations.
# mypy: disable-error-code="no-untyped-def"

from seq2seq.mappings.cpu.compilation import jit

FEW = 24  # up to here, sorting by insertion is fastest


@jit
def sort_descending(x, count, sorted_x, order, spare, spare_order):
    """``sorted_x`` = x[order] from large to small.

    Numbers are dealt into as many buckets as there are numbers, by their place between the smallest
    and the largest, and then sorted by insertion, which moves them little; where the buckets were
    of no use, by merging.
    """
    if count <= FEW:
        for i in range(count):
            sorted_x[i] = x[i]
            order[i] = i
    else:
        deal(x, count, sorted_x, order, spare_order)
    if not insert(sorted_x, order, count):
        merge_sort(sorted_x, order, count, spare, spare_order)


@jit
def deal(x, count, sorted_x, order, starts):
    """Distribute by bucket."""
    low, high = x[0], x[0]
    for i in range(count):
        low, high = min(low, x[i]), max(high, x[i])
    scale = (count - 1) / (high - low) if high > low else 0.0
    for i in range(count):
        starts[i] = 0
    for i in range(count):
        starts[int((high - x[i]) * scale)] += 1
    total = 0
    for b in range(count):
        size = starts[b]
        starts[b] = total
        total += size
    for i in range(count):
        bucket = int((high - x[i]) * scale)
        k = starts[bucket]
        starts[bucket] = k + 1
        sorted_x[k] = x[i]
        order[k] = i


@jit
def insert(x, order, count):
    """Sort by insertion; gives up, and says so, when numbers have far to go."""
    moves, most = 0, 16 * max(count, FEW)
    for i in range(1, count):
        v, place = x[i], order[i]
        j = i
        while j > 0 and x[j - 1] < v:
            x[j] = x[j - 1]
            order[j] = order[j - 1]
            j -= 1
        x[j] = v
        order[j] = place
        moves += i - j
        if moves > most:
            return False
    return True


@jit
def merge_sort(x, order, count, spare, spare_order):
    """Sort by merging neighboring runs of twice the length, again and again."""
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
