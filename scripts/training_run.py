"""Our run in the race of `bench_training.py`: that of `seq2seq-train`, a few updates at a time."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import nn

from seq2seq.data.parallel import ParallelData
from seq2seq.nn.losses import SequenceLoss
from seq2seq.training.fit import TestSettings, ValidationSettings, fit
from seq2seq.training.module import Seq2SeqModule
from seq2seq.training.state_saving import StateSaver


class Pauses(lightning.Callback):
    """Calls ``turn`` before the first and after every update; ends the run; times one save."""

    def __init__(self, turn: Callable[[int], None], updates: int) -> None:
        self.turn, self.updates, self.saving = turn, updates, 0.0

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self.turn(0)

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        self.turn(trainer.global_step)
        trainer.should_stop = trainer.global_step == self.updates

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
        started = time.perf_counter()
        next(c for c in callbacks if isinstance(c, StateSaver)).save(trainer)
        self.saving = time.perf_counter() - started


def run(
    config: DictConfig,
    model: nn.Module,
    loss: SequenceLoss,
    data: ParallelData,
    turn: Callable[[int], None],
    updates: int,
    sentences: int | None,
) -> dict[str, float]:
    """Train as `seq2seq-train` does, with the turns as the last callback.

    Returns:
        seconds of saving the state once, and of a validation with the model as it is then.
    """
    # No validation and no save falls into a turn: one save is timed at the end, for its share.
    config.validation.every_n_steps = updates + 1
    build = instantiate(config.trainer, _partial_=True)
    plain_config: Any = OmegaConf.to_container(config, resolve=True)
    validation = ValidationSettings(**instantiate(config.validation, _convert_="all"))
    task = instantiate(config.task)
    pauses = Pauses(turn, updates)
    with tempfile.TemporaryDirectory() as folder:
        fit(
            Seq2SeqModule(
                task,
                model,  # type: ignore[arg-type]
                loss,
                instantiate(config.optimizer),
                instantiate(config.schedule),
            ),
            data,
            data.train_loader(seed=config.seed, **config.data.batch),
            lambda callbacks, **others: build(callbacks=[*callbacks, pauses], **others),
            folder=Path(folder),
            config=plain_config,
            validation=validation,
            test=TestSettings(**instantiate(config.test, _convert_="all")),
        )
    measured = {"seconds_of_a_save": pauses.saving}
    if sentences == 0:
        return measured
    started = time.perf_counter()
    task.evaluate(
        model,
        data,
        "validation",
        search=validation.search,
        sentences=sentences,
        scores=task.validation_scores,
    )
    seconds = time.perf_counter() - started
    number = len(data.split("validation", sentences))
    return {**measured, "seconds_of_a_validation": seconds, "sentences": number}
