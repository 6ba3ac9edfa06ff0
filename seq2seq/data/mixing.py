"""Mixtures of corpora: which rows of each corpus an epoch has, and how many."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from seq2seq.data.cache import content_key
from seq2seq.data.plan import Rows
from seq2seq.system.errors import DataError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Mixing:
    r"""Shares of the corpora of a mixture.

    Corpus i of $n_i$ pairs has the share $p_i ∝ w_i$, or without weights $p_i ∝ n_i^{1/T}$
    (Arivazhagan et al. 2019). T = 1 takes every pair once per epoch; a larger T makes the shares
    more equal.

    An epoch has as many pairs as all corpora together. It takes the next $p_i Σ_j n_j$ pairs of
    corpus i from an endless sequence: the corpus in one random order, then in another, and so on.
    So every pair of a corpus occurs before any occurs again, however small the share. The pairs of
    an epoch depend only on the seed and the number of the epoch.

    Attributes:
        names: names of the corpora, in the order of the numbers in the training split's column
            `corpus`.
        weights: for each name its share, relative to the others; None: use the temperature.
        temperature: T ≥ 1.
    """

    names: Sequence[str]
    weights: Mapping[str, float] | None = None
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.temperature < 1:
            raise DataError(f"data.temperature={self.temperature} is below 1; set it to 1 or more")
        if self.weights is None:
            return
        if self.temperature != 1:
            raise DataError("data.weights and data.temperature exclude each other; set only one")
        if set(self.weights) != set(self.names):
            raise DataError(
                f"data.weights names {', '.join(self.weights) or 'no corpus'}, but the corpora of "
                f"the mixture are: {', '.join(self.names)}"
            )
        for name, weight in self.weights.items():
            if not weight > 0:
                raise DataError(
                    f"data.weights.{name}={weight} is not above 0; leave the corpus out instead"
                )

    def counts(self, sizes: Sequence[int]) -> list[int]:
        """Return the number of pairs of each corpus in an epoch, at least 1, from their sizes."""
        n = np.asarray(sizes, dtype=np.float64)
        if self.weights is None:
            p = n ** (1 / self.temperature)
        else:
            p = np.array([self.weights[name] for name in self.names], dtype=np.float64)
        exact = p / p.sum() * n.sum()
        # Round the cumulative sums, so that the counts sum to the number of all pairs.
        bounds = np.rint(np.cumsum(exact)).astype(np.int64)
        return np.maximum(np.diff(bounds, prepend=0), 1).tolist()


class MixedRows:
    """The rows of each epoch of a mixture.

    Args:
        mixing: the shares.
        parts: for each corpus its rows in the training split.
    """

    def __init__(self, mixing: Mixing, parts: Sequence[Rows]) -> None:
        for name, part in zip(mixing.names, parts, strict=True):
            if not len(part):
                raise DataError(
                    f"data.filters or data.limits drop all training pairs of data.corpora.{name}; "
                    "relax them, or leave that corpus out"
                )
        self._names, self._parts = mixing.names, parts
        self._counts = mixing.counts([len(part) for part in parts])
        self.key = content_key(self._counts, *parts)

    def rows(self, seed: int, epoch: int) -> Rows:
        """Return the rows of an epoch, in no meaningful order; a row may occur several times.

        Args:
            seed: seed of the orders.
            epoch: number of the epoch, from 0.
        """
        taken = []
        for number, (part, count) in enumerate(zip(self._parts, self._counts, strict=True)):
            at, stop = epoch * count, (epoch + 1) * count
            while at < stop:
                turn, place = divmod(at, len(part))
                order = np.arange(len(part), dtype=np.int32)
                np.random.default_rng([seed, number, turn]).shuffle(order)
                some = order[place : place + stop - at]
                taken.append(part[some])
                at += len(some)
        return np.concatenate(taken)

    def tell(self) -> None:
        """Log how many pairs of each corpus an epoch has."""
        shares = ", ".join(
            f"{count:,} from the {len(part):,} of {name}"
            for name, part, count in zip(self._names, self._parts, self._counts, strict=True)
        )
        logger.info("an epoch has %s pairs: %s", f"{sum(self._counts):,}", shares)
