"""Event files for TensorBoard, without duplicate points after a resume."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from seq2seq.training.logging_interval import logging_interval


class EventLog(TensorBoardLogger):
    """TensorBoard logger that counts by updates and continues without gaps or duplicates.

    A killed run may have written events after its last saved state; on resume, these are purged.
    Lightning writes the events of an update only after the state is saved, so a resumed run would
    lack them. :meth:`settle` writes them before the save.

    Args:
        folder: the run folder.
        updates: number of updates of the state that is resumed; None for a new run.
    """

    def __init__(self, folder: Path, updates: int | None = None) -> None:
        options: dict[str, Any] = {} if updates is None else {"purge_step": updates + 1}
        super().__init__(folder, name="", version="", sub_dir="tensorboard", **options)
        self._written: dict[str, int] = {}

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Write the metrics of an update that are not yet written; ``step`` counts from 0."""
        updates = (step or 0) + 1
        # Lightning's own name would be a group before those of the loss and the scores.
        metrics = {"train/epoch" if n == "epoch" else n: value for n, value in metrics.items()}
        fresh = {n: value for n, value in metrics.items() if self._written.get(n) != updates}
        self._written.update(dict.fromkeys(fresh, updates))
        super().log_metrics(fresh, updates)

    def settle(self, trainer: lightning.Trainer) -> None:
        """Write all metrics of this update to the disk; call this before saving a state."""
        updates = trainer.global_step
        if updates and updates % logging_interval(trainer) == 0:
            logged = {**trainer.logged_metrics, "epoch": trainer.current_epoch}
            self.log_metrics(logged, updates - 1)
        self.experiment.flush()
