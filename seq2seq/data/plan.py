"""Plans: which sentences form which batch, by token count and similar lengths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seq2seq.system.errors import DataError

Rows = NDArray[np.int32]
"""Indices of rows of a split; int32, so for up to two billion rows."""


@dataclass(frozen=True)
class Plan:
    """Batches as slices of an order: batch k is `order[bounds[k] : bounds[k + 1]]`.

    A plan of n sentences takes 4 n bytes; building it takes about 40 n bytes temporarily.
    """

    order: Rows
    bounds: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def rows(self, k: int) -> Rows:
        """Return the rows of batch k."""
        return self.order[self.bounds[k] : self.bounds[k + 1]]


def sorted_plan(
    source_lengths: NDArray[np.integer[Any]],
    target_lengths: NDArray[np.integer[Any]],
    tokens: int,
    max_sentences: int | None = None,
    generator: np.random.Generator | None = None,
) -> Plan:
    r"""Sort sentences by length and cut them greedily into batches of at most `tokens` slots.

    A batch of rows B has $|B| (\max_{i∈B} s_i + \max_{i∈B} t_i)$ slots, where $s$ and $t$ are the
    lengths that the model computes on. A sentence with more slots than `tokens` forms a batch of
    its own. Sentences are sorted by $\max(s, t)$, then by $s − t$, alternately up and down, so that
    neighbours have similar lengths on both sides.

    The generator shuffles sentences of equal lengths. It changes neither the sorted lengths nor the
    number of batches.

    Raises:
        DataError: if `tokens` or `max_sentences` is below 1.
    """
    for key, value in (("tokens", tokens), ("max_sentences", max_sentences)):
        if value is not None and value < 1:
            raise DataError(
                f"data.batch.{key}={value} (in an evaluation: batch_{key}) leaves no sentence in a "
                "batch; set it to at least 1"
            )
    rows = np.arange(len(source_lengths), dtype=np.int32)
    if generator is not None:
        generator.shuffle(rows)
    # Longest first, so that a batch that is too large for memory fails at once.
    order = rows[np.argsort(-_likeness(source_lengths, target_lengths)[rows], kind="stable")]
    bounds = _cut(source_lengths[order], target_lengths[order], tokens, max_sentences)
    return Plan(order, bounds)


def _likeness(
    source: NDArray[np.integer[Any]], target: NDArray[np.integer[Any]]
) -> NDArray[np.integer[Any]]:
    """Return a sort key: sentences with close keys have similar lengths on both sides."""
    longest = int(max(source.max(initial=0), target.max(initial=0)))
    width = 2 * longest + 1
    kind = np.int32 if (longest + 1) * width < 1 << 31 else np.int64
    source, target = source.astype(kind, copy=False), target.astype(kind, copy=False)
    likeness = np.maximum(source, target)
    difference = np.where(likeness % 2 == 0, source - target, target - source)
    likeness *= width
    likeness += difference
    return likeness


def _cut(
    source: NDArray[np.integer[Any]],
    target: NDArray[np.integer[Any]],
    tokens: int,
    max_sentences: int | None,
) -> NDArray[np.int64]:
    """Return the bounds of the longest slices of at most `tokens` slots; loops per batch."""
    bounds = [0]
    while bounds[-1] < len(source):
        start = bounds[-1]
        window = 64
        while True:
            stop = min(start + window, len(source))
            widest = np.maximum.accumulate(source[start:stop].astype(np.int64))
            widest = widest + np.maximum.accumulate(target[start:stop])
            fitting = int(
                np.searchsorted(widest * np.arange(1, stop - start + 1), tokens, side="right")
            )
            if fitting < stop - start or stop == len(source):
                break
            window *= 2
        bounds.append(start + max(1, min(fitting, max_sentences or fitting)))
    return np.array(bounds, dtype=np.int64)


def epoch_plan(
    source_lengths: NDArray[np.integer[Any]],
    target_lengths: NDArray[np.integer[Any]],
    tokens: int,
    *,
    max_sentences: int | None,
    seed: int,
    epoch: int,
    rank: int,
    world_size: int,
    rows: Rows,
    batches: int | None = None,
) -> Plan:
    """Return the batches of one rank in one epoch, in shuffled order.

    Each of `rows` is in exactly one batch of one rank, and all ranks have equally many batches. To
    achieve that, the largest batches are halved until their number is a multiple of `world_size`
    and at least `batches` per rank. If all batches have a single sentence, none can be halved, and
    the last few batches of the epoch are dropped.

    Args:
        source_lengths: source lengths of all rows of the split, with eos.
        target_lengths: target lengths of all rows of the split, with eos.
        tokens: most slots of a batch, see `sorted_plan`.
        max_sentences: most sentences of a batch; None: no limit.
        seed: seed of the shuffling.
        epoch: number of the epoch, part of the seed.
        rank: rank of this process.
        world_size: number of processes.
        rows: the rows to use; a row that occurs twice is used twice.
        batches: number of batches per rank to reach by halving; None: as few as possible.

    Raises:
        DataError: if there are fewer rows than processes.
    """
    if len(rows) < world_size:
        raise DataError(
            f"{len(rows)} training sentences are too few for {world_size} processes; start fewer"
        )
    generator = np.random.default_rng([seed, epoch])
    plan = sorted_plan(source_lengths[rows], target_lengths[rows], tokens, max_sentences, generator)
    least = world_size * max(-(-len(plan) // world_size), batches or 0)
    bounds = _halved(plan.bounds, least)
    turn = generator.permutation(len(bounds) - 1)
    mine = turn[: len(turn) // world_size * world_size][rank::world_size]
    starts, sizes = bounds[:-1][mine], np.diff(bounds)[mine]
    first = np.concatenate([[0], np.cumsum(sizes)])
    # order[first[k] + j] = rows[plan.order[starts[k] + j]], for all k and j at once
    places = np.repeat((starts - first[:-1]).astype(np.int32), sizes)
    places += np.arange(len(places), dtype=np.int32)
    return Plan(rows[plan.order[places]], first)


def _halved(bounds: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Halve the largest batches until there are `count`, or all have a single sentence."""
    while (missing := count - (len(bounds) - 1)) > 0:
        sizes = np.diff(bounds)
        largest = np.argsort(-sizes, kind="stable")[:missing]
        largest = largest[sizes[largest] > 1]
        if not len(largest):
            break
        bounds = np.sort(np.concatenate([bounds, bounds[largest] + sizes[largest] // 2]))
    return bounds
