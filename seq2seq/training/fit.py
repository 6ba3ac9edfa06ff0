"""The training run: train, validate, keep checkpoints, evaluate the best one."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import lightning
import torch
from lightning.pytorch.loggers import Logger
from safetensors.torch import load_model

from seq2seq.checkpoint import WEIGHTS, check
from seq2seq.data.parallel import ParallelData, TrainLoader
from seq2seq.evaluation.evaluation import Evaluation
from seq2seq.evaluation.report import write_metrics, write_outputs
from seq2seq.evaluation.scored_texts import ScoredTexts
from seq2seq.models.attending import AttendingModel
from seq2seq.search import Search
from seq2seq.system.atomic_writing import mend, remove_leftovers
from seq2seq.system.processes import ALONE, Group
from seq2seq.tasks import Task
from seq2seq.training import loggers
from seq2seq.training.annealing import Annealer, Annealing
from seq2seq.training.attention_collapse import CollapseWarning
from seq2seq.training.kept_checkpoints import CheckpointKeeper, Scored
from seq2seq.training.module import Seq2SeqModule
from seq2seq.training.out_of_memory import is_out_of_memory, not_halved
from seq2seq.training.progress import on_terminal, progress_callbacks
from seq2seq.training.state_file import StateFile, check_fits, telling_what_is_saved
from seq2seq.training.state_saving import StateSaver
from seq2seq.training.stopwatch import Stopwatch
from seq2seq.training.validation import Validation, describe, monitored

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ValidationSettings:
    """Settings of validation and of the kept checkpoints; see ``configs/train.yaml``."""

    every_n_steps: int
    search: Search | None = None
    sentences: int | None = None
    monitor: str | None = None
    patience: int | None = None
    keep_best: int = 3
    average: bool = True
    heat_maps: int = 4


@dataclass(frozen=True)
class TestSettings:
    """Split and search with which the best checkpoint is evaluated after training."""

    search: Search | None = None
    split: str | None = "test"


class Result(NamedTuple):
    """What a training run ends with.

    Attributes:
        best: the best value of the monitored score on the validation split.
        test: the evaluation of the best checkpoint; None without a test split.
    """

    best: float
    test: Evaluation | None


def fit(
    module: Seq2SeqModule,
    data: ParallelData,
    train_loader: TrainLoader,
    trainer: Callable[..., lightning.Trainer],
    *,
    folder: Path,
    config: dict[str, Any],
    validation: ValidationSettings,
    test: TestSettings,
    annealing: Annealing | None = None,
    logger_makers: loggers.LoggerMakers = loggers.TENSORBOARD,
    resume: bool = False,
    again: str = "",
    group: Group = ALONE,
) -> Result:
    """Train with regular validation, then evaluate the best checkpoint on the test split.

    Args:
        module: model, loss, optimizer and schedule.
        data: the corpus with its subwords.
        train_loader: batches of the training split.
        trainer: builds the ``lightning.Trainer`` from callbacks, logger and other keyword
            arguments.
        folder: the run folder.
        config: the resolved configuration, saved in every checkpoint.
        validation: settings of validation.
        test: settings of the final evaluation.
        annealing: schedule of the γ of attention mappings; None: γ stays constant.
        logger_makers: class and arguments of each logger, by its name in the configuration.
        resume: continue from the training state in ``folder``.
        again: the command that resumes the run, for messages.
        group: the processes that train together. Only the first one writes files.

    Raises:
        InterruptedRunError: if a signal stopped training; the state is saved.
        FileNotFoundError: if there is no state to resume from.
        OSError: if the disk is full or the folder is not writable.
    """
    states = StateFile(folder)
    state, updates = states.newest() if resume else (None, None)
    if group.leads:
        clean(folder)
    _check(module, data, validation, test)
    validator = _validator(module.task, data, folder, config, validation, group)
    shows_progress = config["trainer"].get("enable_progress_bar", True)
    with loggers.opened(logger_makers, config, folder, updates, group) as writers:
        built = trainer(
            callbacks=[
                *progress_callbacks(shows_progress, lambda: validator.seconds),
                Stopwatch(folder / "training.json", lambda: validator.seconds),
                *([Annealer(annealing, module.model)] if annealing is not None else []),
                validator,
                StateSaver(states.path, every_n_steps=validation.every_n_steps, group=group),
            ],
            plugins=[states],
            logger=writers,
            default_root_dir=folder,
            enable_checkpointing=False,
            enable_progress_bar=shows_progress and on_terminal(),
            enable_model_summary=False,
            use_distributed_sampler=False,
            inference_mode=False,
        )
        module.begin_average()  # after the annealer, which has added γ to the model
        if state is not None:
            check_fits(state, module)
        if updates is not None and built.max_steps is not None:
            _warn_if_complete(updates, built.max_steps)
        with telling_what_is_saved(folder, again), _explaining_memory(group, config):
            built.fit(module, train_loader, ckpt_path=state, weights_only=True)
        model = module.whole_model().to(built.strategy.root_device)
        group.wait()  # the other processes read what the first one has written
        if validation.average:
            _average(model, validator)
            group.wait()
        validator.check_best()
        check(validator.keeper.folder / "best" / WEIGHTS)
        load_model(model, str(validator.keeper.folder / "best" / WEIGHTS))
        evaluation = _test(module.task, model, data, test, folder, config, group)
        if evaluation is not None and test.split is not None and group.leads:
            for logger in writers:
                loggers.report_end(logger, config, evaluation, test.split, built.global_step)
        assert validator.keeper.best_score is not None  # training ends with a validation
        return Result(validator.keeper.best_score, evaluation)


def _warn_if_complete(updates: int, most: int) -> None:
    if 0 <= most <= updates:
        log.warning(
            "This run has already made %d updates of trainer.max_steps=%d, so no training is left. "
            "To train longer, set a larger trainer.max_steps",
            *(updates, most),
        )


@contextlib.contextmanager
def _explaining_memory(group: Group, config: dict[str, Any]) -> Iterator[None]:
    """Add which key to lower to an out-of-memory error of several processes.

    They cannot retry a batch in halves.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if group.size == 1 or not is_out_of_memory(error):
            raise
        raise not_halved("a batch", config["data"]["batch"]["tokens"]) from error


def clean(folder: Path) -> None:
    """Repair or remove the half-written files that a killed run left in its folder."""
    remove_leftovers(folder)
    mend(folder / "checkpoints")


def _check(
    module: Seq2SeqModule, data: ParallelData, validation: ValidationSettings, test: TestSettings
) -> None:
    """Raise `ValueError` before training for settings that would fail only after it.

    Raises:
        ValueError: if a split is missing or the monitored score is not measured.
    """
    task = module.task
    task.check_split(module.model, data, "validation", validation.sentences)
    if test.split is not None:
        task.check_split(module.model, data, test.split)
    if validation.monitor not in (None, *task.measured):
        raise ValueError(
            f"validation.monitor={validation.monitor} is not measured; choose one of "
            f"{', '.join(task.measured)}"
        )


def _validator(
    task: Task,
    data: ParallelData,
    folder: Path,
    config: dict[str, Any],
    settings: ValidationSettings,
    group: Group,
) -> Validation:
    def evaluate_split(model: AttendingModel) -> Evaluation:
        return task.evaluate(
            model,
            data,
            "validation",
            search=settings.search,
            sentences=settings.sentences,
            scores=task.validation_scores,
            device=_device(model),
            group=group,
        )

    def report(logger: Logger, model: AttendingModel, evaluation: Evaluation, step: int) -> None:
        number = min(settings.heat_maps, len(evaluation.examples))
        maps = task.attention_maps(model, data, "validation", number, _device(model))
        loggers.report(logger, evaluation, maps, step)

    monitor = settings.monitor or task.monitor

    keeper = CheckpointKeeper(
        folder / "checkpoints",
        data.subwords,
        config,
        settings.keep_best,
        higher_is_better=monitor not in task.lower_is_better,
        writes=group.leads,
    )
    return Validation(
        evaluate_split,
        report,
        keeper,
        settings.every_n_steps,
        monitor,
        settings.patience,
        CollapseWarning(config),
    )


def _average(model: AttendingModel, validator: Validation) -> None:
    def score(averaged: AttendingModel) -> Scored:
        result = validator.evaluate(averaged)
        return monitored(result.metrics, validator.monitor), result.metrics, result.outputs

    result = validator.keeper.average(model, score)
    if result is not None:
        log.info(
            "average of the kept checkpoints: %s %.2f on validation; %s",
            validator.monitor,
            result[0],
            "it is the new best" if result[1] else "it is not better than the best",
        )


def _test(
    task: Task,
    model: AttendingModel,
    data: ParallelData,
    test: TestSettings,
    folder: Path,
    config: dict[str, Any],
    group: Group,
) -> Evaluation | None:
    if test.split is None:
        return None
    evaluation = task.evaluate(
        model, data, test.split, search=test.search, device=_device(model), group=group
    )
    if not group.leads:
        return evaluation
    search = {"search": config["test"]["search"]} if task.searches else {}
    corpus = str(config["data"].get("corpus", {}).get("_target_", "")).rpartition(".")[2]
    scored = ScoredTexts.of(corpus, test.split, data.split(test.split))
    metrics = {**evaluation.metrics, **search, **scored.entry()}
    for place in (folder, folder / "checkpoints" / "best"):
        write_metrics(place / "metrics.json", {test.split: metrics})
    write_outputs(folder, test.split, evaluation.outputs)
    log.info("%s: %s", test.split, describe(evaluation.metrics))
    return evaluation


def _device(model: AttendingModel) -> torch.device:
    return next(model.parameters()).device
