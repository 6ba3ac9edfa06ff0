"""The loggers of a run: TensorBoard, CSV files, Weights & Biases, MLflow, by Lightning's classes.

TensorBoard continues without gaps or duplicates after a resume (:mod:`seq2seq.training.event_log`).
The others may repeat the values of updates that a killed run made after its last saved state.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

from lightning.pytorch.loggers import CSVLogger, Logger, MLFlowLogger, WandbLogger

from seq2seq.evaluation.evaluation import AttentionMap, Evaluation
from seq2seq.system.atomic_writing import replacing
from seq2seq.system.processes import ALONE, Group
from seq2seq.training import tensorboard
from seq2seq.training.event_log import EventLog

#: Loggers by their name in the configuration: class and arguments.
LoggerMakers: TypeAlias = Mapping[str, "partial[Any]"]
TENSORBOARD: LoggerMakers = {"tensorboard": partial(EventLog)}
#: The packages that loggers need besides those of this package.
PACKAGES = ("wandb", "mlflow")
#: File of the run folder with the identifiers of the run at W&B and MLflow.
IDENTIFIERS = "loggers.json"


def check_loggers(settings: Mapping[str, Any]) -> None:
    """Check that the packages of the chosen loggers are installed.

    Raises:
        ValueError: naming the package to install.
    """
    for name in settings:
        if name in PACKAGES and find_spec(name) is None:
            raise ValueError(f"logger={name} needs {name}, which is missing: pip install {name}")


@contextmanager
def opened(
    makers: LoggerMakers,
    config: dict[str, Any],
    folder: Path,
    updates: int | None,
    group: Group = ALONE,
) -> Iterator[list[Logger]]:
    """Build the loggers of a run, and end its runs at the services after the block.

    Without an end, the next run of a sweep would write to the W&B run of the one before.

    Args:
        makers: class and arguments of each logger, by its name.
        config: the configuration of the run, which the loggers show.
        folder: the run folder.
        updates: number of updates of the state that is resumed; None for a new run.
        group: the processes that train together. Only the loggers of the first one write.
    """
    known = folder / IDENTIFIERS
    resumes = updates is not None and known.exists()
    continued = json.loads(known.read_text(encoding="utf-8")) if resumes else {}
    loggers = {
        name: make(**_options(make.func, folder, updates, continued.get(name)))
        for name, make in makers.items()
    }
    if group.leads:
        _remember(loggers, folder)
        for logger in loggers.values() if updates is None else ():
            if not isinstance(logger, EventLog):  # which gets them with the scores
                logger.log_hyperparams(config)
    status = "failed"
    try:
        yield list(loggers.values())
        status = "success"
    finally:
        for logger in loggers.values():
            logger.finalize(status)
            if isinstance(logger, WandbLogger):
                logger.experiment.finish(exit_code=int(status == "failed"))


def _options(kind: Any, folder: Path, updates: int | None, continued: str | None) -> dict[str, Any]:
    """Return the arguments of a logger that depend on the run."""
    if issubclass(kind, EventLog):
        return {"folder": folder, "updates": updates}
    if issubclass(kind, CSVLogger):
        return {"save_dir": folder}
    if issubclass(kind, WandbLogger):
        resumed = {"id": continued, "resume": "allow"} if continued is not None else {}
        return {"save_dir": folder, **resumed}
    if issubclass(kind, MLFlowLogger) and continued is not None:
        return {"run_id": continued}
    return {}


def _remember(loggers: Mapping[str, Logger], folder: Path) -> None:
    """Write which runs at their services the loggers write to, so that a resume continues them."""
    known = {}
    for name, logger in loggers.items():
        if isinstance(logger, WandbLogger | MLFlowLogger):
            _ = logger.experiment  # creates the run
            known[name] = logger.version
    if known:
        with replacing(folder / IDENTIFIERS) as draft:
            draft.write_text(json.dumps(known), encoding="utf-8")


def report(logger: Logger, evaluation: Evaluation, maps: Iterable[AttentionMap], step: int) -> None:
    """Write an evaluation of the validation split; figures and texts where the logger has them."""
    if isinstance(logger, EventLog):
        tensorboard.report(logger.experiment, evaluation, maps, step)
        return
    logger.log_metrics(dict(tensorboard.scalars(evaluation.metrics)), step)
    for name, figure in tensorboard.figures(evaluation, maps, step):
        if isinstance(logger, WandbLogger):
            logger.log_image(name, [figure], step)
        elif isinstance(logger, MLFlowLogger):
            place = f"{name.replace(' ', '_')}/step-{step:06d}.png"
            logger.experiment.log_figure(logger.run_id, figure, place)


def report_end(
    logger: Logger, config: dict[str, Any], evaluation: Evaluation, split: str, step: int
) -> None:
    """Write the scores of the best checkpoint on the test split."""
    if isinstance(logger, EventLog):
        folder = Path(logger.log_dir)
        tensorboard.report_hyperparameters(folder, config, evaluation.metrics, step)
        return
    logger.log_metrics(dict(tensorboard.scalars(evaluation.metrics, split)), step)
    logger.save()
