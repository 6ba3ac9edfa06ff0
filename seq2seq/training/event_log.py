"""The run's event files for TensorBoard, in which every scalar stands once, whatever happened."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from seq2seq.training.interval import logging_interval


class EventLog(TensorBoardLogger):
    """Lightning's logger, numbered by the updates done, which a resumed run goes on without a seam.

    A run that is killed has written events that come after the state it goes on from: they are
    taken back. And it would lack those of the state's own update, which Lightning writes after the
    state is saved: :meth:`settle` writes them before.

    Args:
        folder: the run folder.
        updates: done by the run that is resumed; None: it is new.
    """

    def __init__(self, folder: Path, updates: int | None = None) -> None:
        options: dict[str, Any] = {} if updates is None else {"purge_step": updates + 1}
        super().__init__(folder, name="", version="", sub_dir="tensorboard", **options)
        self._written: dict[str, int] = {}

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Write what is not yet written of an update; Lightning's ``step`` counts from 0."""
        updates = (step or 0) + 1
        fresh = {n: value for n, value in metrics.items() if self._written.get(n) != updates}
        self._written.update(dict.fromkeys(fresh, updates))
        super().log_metrics(fresh, updates)

    def settle(self, trainer: lightning.Trainer) -> None:
        """Put on the disk all that is known at this update; called before a state is saved."""
        updates = trainer.global_step
        if updates and updates % logging_interval(trainer) == 0:
            logged = {**trainer.logged_metrics, "epoch": trainer.current_epoch}
            self.log_metrics(logged, updates - 1)
        self.experiment.flush()
