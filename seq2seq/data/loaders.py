"""Loaders of training batches, which can save and restore their position, and for evaluation."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator
from torch.utils.data import DataLoader, Dataset

from seq2seq.data.batch import BOS_ID, EOS_ID, Batch
from seq2seq.data.cache import content_key
from seq2seq.data.extended_ids import ExtendedIds
from seq2seq.data.mixing import MixedRows
from seq2seq.data.plan import Plan, Rows, epoch_plan, sorted_plan
from seq2seq.data.sequences import Sequences, collate
from seq2seq.system.processes import ALONE, Group

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Encoded:
    """Both sides of a split as ids; row i of the source belongs to row i of the target.

    Attributes:
        source: ids of the source side.
        target: ids of the target side.
        labels: class of each row; None if the corpus has no classes.
        extended_ids: gives unknown words of a source distinct ids, for models that copy; or None.
    """

    source: Sequences
    target: Sequences
    labels: NDArray[np.int64] | None = None
    extended_ids: ExtendedIds | None = None

    @property
    def lengths(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Lengths of x1 … xn eos and of y1 … ym eos; each access computes new arrays."""
        return self.source.lengths + 1, self.target.lengths + 1


class PlannedBatches(Dataset[Batch]):
    """The batches of a plan; each is built from the ids when it is accessed."""

    def __init__(self, encoded: Encoded, plan: Plan) -> None:
        self.encoded, self.plan = encoded, plan

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, k: int) -> Batch:
        encoded, rows = self.encoded, self.plan.rows(k)
        batch = collate(encoded.source, encoded.target, rows, bos=BOS_ID, eos=EOS_ID)
        if encoded.labels is not None:
            batch.labels = torch.from_numpy(encoded.labels[rows])
        return batch if encoded.extended_ids is None else encoded.extended_ids(batch)


def _unchanged(batch: Any) -> Any:
    return batch


def _data_loader(
    batches: PlannedBatches, turn: range, num_workers: int, pin_memory: bool
) -> DataLoader[Batch]:
    return DataLoader(
        batches,
        batch_size=None,
        sampler=turn,
        num_workers=num_workers,
        pin_memory=pin_memory,
        collate_fn=_unchanged,
        # By default, DataLoader draws from the global generator. A resumed run would then draw once
        # more than a run without interruption.
        generator=Generator(),
    )


class EvaluationLoader:
    """Loader that yields every example exactly once, sorted by length, longest first.

    The processes of a group share the batches. The batches do not depend on the group.

    Args:
        encoded: the ids of a split.
        tokens: most slots of a batch, counted as in `TrainLoader`.
        sentences: take only this many examples, from the beginning of the split; None: all.
        group: processes that share the batches; this one gets the batches of its rank.
        num_workers: processes that prepare batches; 0 prepares them in this process.
        pin_memory: yield batches in page-locked memory.
    """

    def __init__(
        self,
        encoded: Encoded,
        tokens: int,
        *,
        sentences: int | None = None,
        group: Group = ALONE,
        num_workers: int = 0,
        pin_memory: bool = False,
    ) -> None:
        source, target = encoded.lengths
        plan = sorted_plan(source[:sentences], target[:sentences], tokens)
        self._batches = PlannedBatches(encoded, plan)
        self._turn = range(group.rank, len(plan), group.size)
        self._num_workers, self._pin_memory = num_workers, pin_memory

    def __len__(self) -> int:
        return len(self._turn)

    def __iter__(self) -> Iterator[Batch]:
        return iter(_data_loader(self._batches, self._turn, self._num_workers, self._pin_memory))


class TrainLoader:
    """Loader of shuffled training batches of one rank, which can save and restore its position.

    Iterating yields the batches of the current epoch, from the current position. At the end of the
    epoch, the next iteration starts the next epoch. `state_dict` counts the batches that were
    yielded, not those that workers have prepared. The order depends only on seed and epoch. So the
    batches after `load_state_dict` are bit-identical to those of a run without interruption.

    Args:
        encode: returns the ids for a seed and an epoch; they differ if subwords are sampled.
        rows: rows of the split to train on, or the rows of each epoch.
        tokens: most slots of a batch: sentences × (longest source + longest target), with eos. A
            longer sentence forms a batch of its own.
        key: identifies the content of the data, to detect a saved position of other data.
        max_sentences: most sentences of a batch; None: no limit.
        seed: seed of the shuffling.
        rank: rank of this process.
        world_size: number of processes; all get equally many batches.
        num_workers: processes that prepare batches; 0 prepares them in this process.
        pin_memory: yield batches in page-locked memory.
        varying: whether the lengths differ between epochs. If so, up to one batch in a hundred is
            halved to keep the number of batches constant.
    """

    def __init__(
        self,
        encode: Callable[[int, int], Encoded],
        rows: Rows | MixedRows,
        tokens: int,
        *,
        key: str = "",
        max_sentences: int | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        num_workers: int = 0,
        pin_memory: bool = False,
        varying: bool = False,
    ) -> None:
        self._encode, self._rows = encode, rows
        self._options = {
            "tokens": tokens,
            "max_sentences": max_sentences,
            "world_size": world_size,
        }
        self._rank, self._num_workers, self._pin_memory = rank, num_workers, pin_memory
        self.seed, self.epoch, self.position = seed, 0, 0
        self._planned: tuple[int, int, PlannedBatches] | None = None
        self._length: int | None = None
        content = rows.key if isinstance(rows, MixedRows) else rows
        self._key = content_key(key, self._options, content)
        if varying or isinstance(rows, MixedRows):
            self._length = len(self._plan(0)) + len(self._plan(0)) // 100 + 1
            self._planned = None

    def __len__(self) -> int:
        """Return the number of batches of an epoch on this rank."""
        return len(self._plan(self.epoch))

    def __iter__(self) -> Iterator[Batch]:
        # A generator, so that this code runs only with the first batch: Lightning creates the
        # iterator before it sets the epoch.
        if self.position >= len(self):
            self.epoch, self.position = self.epoch + 1, 0
        batches = self._plan(self.epoch)
        turn = range(self.position, len(batches))
        for batch in _data_loader(batches, turn, self._num_workers, self._pin_memory):
            self.position += 1
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """Return the position of the loader, as numbers and text."""
        return {
            "epoch": self.epoch,
            "position": self.position,
            "seed": self.seed,
            "batches": self._length,
            "key": self._key,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue at the position of a `state_dict`."""
        self.epoch, self.position, self.seed = state["epoch"], state["position"], state["seed"]
        self._planned = None
        if state["key"] == self._key:
            self._length = state["batches"]
        else:
            logger.warning(
                "the training data, data.batch or the number of processes changed since the "
                "checkpoint was written, so epoch %d starts over",
                self.epoch,
            )
            self.position = 0

    def _plan(self, epoch: int) -> PlannedBatches:
        if self._planned is None or self._planned[:2] != (self.seed, epoch):
            encoded = self._encode(self.seed, epoch)
            rows = self._rows
            if isinstance(rows, MixedRows):
                rows = rows.rows(self.seed, epoch)
            plan = epoch_plan(
                *encoded.lengths,
                seed=self.seed,
                epoch=epoch,
                rank=self._rank,
                rows=rows,
                batches=self._length,
                **self._options,  # type: ignore[arg-type]
            )
            self._planned = (self.seed, epoch, PlannedBatches(encoded, plan))
        return self._planned[2]
