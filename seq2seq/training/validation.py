"""Validation every N updates: evaluate, report, keep the best, stop when it no longer improves."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import lightning
from lightning.pytorch.loggers import TensorBoardLogger

from seq2seq.evaluation.evaluation import Evaluation
from seq2seq.models.attending import AttendingModel
from seq2seq.training.collapse import CollapseWarning
from seq2seq.training.divergence import ADVICE, guessing_loss, has_diverged
from seq2seq.training.keeper import CheckpointKeeper
from seq2seq.training.module import Seq2SeqModule

log = logging.getLogger(__name__)


class Validation(lightning.Callback):
    """Evaluates the model as ``seq2seq-evaluate`` does, every ``every_n_steps`` updates.

    Processes that train together share the work and all come to the same figures; the first of them
    writes. It runs between two updates and draws no random number, so training goes on exactly as
    it would have without it.

    Args:
        evaluate: evaluates a model on the validation split.
        report: writes an evaluation to TensorBoard: ``report(writer, model, evaluation, step)``.
        keeper: keeps the best checkpoints.
        every_n_steps: updates between validations.
        monitor: a score of the evaluation, or ``loss``.
        patience: stop after so many validations without a better one; None: never.
        collapse: warns of attention that has become one-hot.
    """

    def __init__(
        self,
        evaluate: Callable[[AttendingModel], Evaluation],
        report: Callable[..., None],
        keeper: CheckpointKeeper,
        every_n_steps: int,
        monitor: str,
        patience: int | None = None,
        collapse: CollapseWarning | None = None,
    ) -> None:
        if every_n_steps < 1:
            raise ValueError(f"validation.every_n_steps must be at least 1, got {every_n_steps}")
        self.evaluate = evaluate
        self.report = report
        self.keeper = keeper
        self.every_n_steps = every_n_steps
        self.monitor = monitor
        self.patience = patience
        self.collapse = collapse
        self.last_step = 0
        self.without_better = 0
        #: Loss of guessing, once there was a validation.
        self.guessing: float | None = None
        #: Time spent on validation so far, not part of the training speed.
        self.seconds = 0.0

    def on_fit_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Go on from a state: the folder as it was; a run that patience had ended stays ended."""
        if trainer.ckpt_path is None:
            return
        self.keeper.restore()
        self._count(trainer)

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_index: int,
    ) -> None:
        """Validate when the number of updates is a multiple of ``every_n_steps``."""
        step = trainer.global_step
        if step > self.last_step and step % self.every_n_steps == 0:
            self.run(trainer, module)

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Validate the weights with which training ends, if that was not just done."""
        if trainer.global_step > self.last_step:
            self.run(trainer, module)

    def run(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Evaluate, report, offer to the keeper, count patience."""
        assert isinstance(module, Seq2SeqModule)
        started = time.perf_counter()
        step = trainer.global_step
        self.last_step = step
        model = module.whole_model()
        evaluation = self.evaluate(model)
        score = monitored(evaluation.metrics, self.monitor)
        loss = evaluation.metrics["loss"]
        mapping: Any = model.output_mapping
        choices = module.task.choices(self.keeper.subwords)
        self.guessing = guessing_loss(mapping, choices, next(model.parameters()).device)
        if has_diverged(loss, self.guessing):
            log.warning(
                "step %d: the loss of validation is %.4g, where guessing has %.4g: training has "
                "diverged; %s",
                *(step, loss, self.guessing, ADVICE),
            )
        is_best = self.keeper.offer(model, step, score, evaluation.metrics, evaluation.outputs)
        self.without_better = 0 if is_best else self.without_better + 1
        if module.plateau is not None:
            module.plateau.step(evaluation.metrics["loss"])
        for logger in trainer.loggers if trainer.is_global_zero else ():
            if isinstance(logger, TensorBoardLogger):
                self.report(logger.experiment, model, evaluation, step)
        log.info("step %d: %s%s", step, describe(evaluation.metrics), " *" if is_best else "")
        if self.collapse is not None and trainer.is_global_zero:
            self.collapse(evaluation.metrics, step, -(-step // self.every_n_steps))
        self._count(trainer)
        self.seconds += time.perf_counter() - started

    def check_best(self) -> None:
        """Refuse to go on with a best checkpoint that has diverged.

        Raises:
            FloatingPointError: saying what to try.
        """
        loss = self.keeper.best_loss
        if self.guessing is not None and has_diverged(loss, self.guessing):
            raise FloatingPointError(
                f"training has diverged: the best checkpoint has a loss of {loss:.4g} on the "
                f"validation split, where guessing has {self.guessing:.4g}; {ADVICE}"
            )

    def _count(self, trainer: lightning.Trainer) -> None:
        """Stop when patience is at its end."""
        if self.patience is not None and self.without_better >= self.patience:
            log.info("stopping: no better %s in %d validations", self.monitor, self.patience)
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """For resuming."""
        return {
            "monitor": self.monitor,
            "last_step": self.last_step,
            "without_better": self.without_better,
            "keeper": self.keeper.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore counters and kept checkpoints; of another score than now, which kept nothing."""
        self.last_step = state["last_step"]
        if state.get("monitor", self.monitor) != self.monitor:
            log.warning(
                "validation.monitor is %s now and was %s: the checkpoints kept so far are kept no "
                "longer, and the next one is the best",
                *(self.monitor, state["monitor"]),
            )
            return
        self.without_better = state["without_better"]
        self.keeper.load_state_dict(state["keeper"])


def monitored(metrics: dict[str, Any], monitor: str) -> float:
    """The score named ``monitor`` in the metrics of an evaluation.

    Raises:
        ValueError: if there is none, naming those there are.
    """
    value = metrics.get(monitor)
    if isinstance(value, dict):
        value = value.get("score")
    if not isinstance(value, int | float):
        names = [
            name
            for name, entry in metrics.items()
            if isinstance(entry, int | float) or (isinstance(entry, dict) and "score" in entry)
        ]
        raise ValueError(f"validation.monitor={monitor} is not measured; choose {', '.join(names)}")
    return float(value)


def describe(metrics: dict[str, Any]) -> str:
    """One line: loss, perplexity, scores, support size, alignment error."""
    parts = [f"loss {metrics['loss']:.3f}"]
    if "perplexity" in metrics:
        parts.append(f"perplexity {metrics['perplexity']:.2f}")
    for name, entry in metrics.items():
        if isinstance(entry, dict) and "score" in entry:
            parts.append(f"{name} {entry['score']:.2f}")
    overall = metrics.get("attention", {}).get("overall", {})
    if "support_size" in overall:
        parts.append(f"support {overall['support_size']:.1f}")
    error_rate = metrics.get("alignment", {}).get("overall", {}).get("aer")
    if error_rate is not None:
        parts.append(f"AER {error_rate:.3f}")
    return ", ".join(parts)
