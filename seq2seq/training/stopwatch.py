"""Duration of training, written to ``training.json`` in the run folder."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
import torch

from seq2seq.evaluation.report import write_metrics


class Stopwatch(lightning.Callback):
    """Callback that times training without validations, across interruptions.

    It writes the result when training ends. The first batch of a process, which compiles kernels,
    is not timed. ``training.json`` has these entries:

        parameters          number of parameters of the model
        updates, epochs     timed updates of the weights; timed passes over the training split
        seconds             wall-clock time of these, including reading batches and saving
        seconds_per_update  null if no update was timed
        seconds_per_epoch   null if no batch was timed
        device              name of the device
        devices             number of devices that trained together

    Args:
        path: the file to write.
        pauses: returns the seconds spent so far on anything but training.
    """

    def __init__(self, path: Path, pauses: Callable[[], float]) -> None:
        self.path = path
        self.pauses = pauses
        self.seconds = 0.0
        self.updates = 0
        self.batches = 0
        self._since: float | None = None
        self._step = 0

    def _clock(self) -> float:
        return time.perf_counter() - self.pauses()

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_index: int,
    ) -> None:
        """Count batches and updates; start the clock at the end of the first batch."""
        if self._since is None:
            self._since = self._clock()
        else:
            self.batches += 1
            self.updates += trainer.global_step - self._step
        self._step = trainer.global_step

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Synchronise with the device, stop the clock and write the file."""
        name = "cpu"
        if module.device.type == "cuda":
            torch.cuda.synchronize(module.device)
            name = torch.cuda.get_device_name(module.device)
        self._stop()
        epochs = self.batches / trainer.num_training_batches
        record = {
            "parameters": sum(parameter.numel() for parameter in module.parameters()),
            "updates": self.updates,
            "epochs": epochs,
            "seconds": self.seconds,
            "seconds_per_update": self.seconds / self.updates if self.updates else None,
            "seconds_per_epoch": self.seconds / epochs if epochs else None,
            "device": name,
            "devices": trainer.world_size,
        }
        if trainer.is_global_zero:
            write_metrics(self.path, record)

    def _stop(self) -> None:
        if self._since is not None:
            now = self._clock()
            self.seconds += now - self._since
            self._since = now

    def state_dict(self) -> dict[str, Any]:
        """Return the counts for resuming."""
        self._stop()
        return {"seconds": self.seconds, "updates": self.updates, "batches": self.batches}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the counts."""
        self.seconds, self.updates = state["seconds"], state["updates"]
        self.batches = state["batches"]
