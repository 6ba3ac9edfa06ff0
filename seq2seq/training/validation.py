"""Validation every N updates: evaluate, report, keep the best, stop early."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import lightning

from seq2seq.evaluation.evaluation import Evaluation
from seq2seq.models.attending import AttendingModel
from seq2seq.training.attention_collapse import CollapseWarning
from seq2seq.training.divergence import ADVICE, guessing_loss, has_diverged
from seq2seq.training.kept_checkpoints import CheckpointKeeper
from seq2seq.training.module import Seq2SeqModule

log = logging.getLogger(__name__)


class Validation(lightning.Callback):
    """Callback that evaluates the model every ``every_n_steps`` updates.

    The results are those of ``seq2seq-evaluate``. Processes that train together share the work and
    all get the same results; the first one writes them. Validation runs between two updates and
    draws no random numbers, so it does not change training.

    Args:
        evaluate: evaluates a model on the validation split.
        report: writes an evaluation to a logger: ``report(logger, model, evaluation, step)``.
        keeper: keeps the best checkpoints.
        every_n_steps: updates between validations.
        monitor: name of a score of the evaluation, or ``loss``.
        patience: stop after this many consecutive validations without improvement; None: never.
        collapse: warns when attention becomes one-hot; None: no warning.
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
        #: Loss of a uniform prediction; None before the first validation.
        self.guessing: float | None = None
        #: Seconds spent on validation so far; the training speed excludes them.
        self.seconds = 0.0

    def on_fit_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Restore the checkpoint folder of a resumed run; stop if patience has already run out."""
        if trainer.ckpt_path is None:
            return
        self.keeper.restore()
        self._stop_if_stale(trainer)

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
        """Validate the final weights, unless the last update was already validated."""
        if trainer.global_step > self.last_step:
            self.run(trainer, module)

    def run(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Evaluate, report, keep the checkpoint if it is good, and stop if patience runs out."""
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
                "step %d: training has diverged: the validation loss is %.4g, but a uniform "
                "prediction has only %.4g; %s",
                *(step, loss, self.guessing, ADVICE),
            )
        is_best = self.keeper.offer(model, step, score, evaluation.metrics, evaluation.outputs)
        self.without_better = 0 if is_best else self.without_better + 1
        if module.plateau is not None:
            module.plateau.step(evaluation.metrics["loss"])
        for logger in trainer.loggers if trainer.is_global_zero else ():
            self.report(logger, model, evaluation, step)
        log.info("step %d: %s%s", step, describe(evaluation.metrics), " *" if is_best else "")
        if self.collapse is not None and trainer.is_global_zero:
            self.collapse(evaluation.metrics, step, -(-step // self.every_n_steps))
        self._stop_if_stale(trainer)
        self.seconds += time.perf_counter() - started

    def check_best(self) -> None:
        """Raise `FloatingPointError` if the best checkpoint has diverged.

        Raises:
            FloatingPointError: the message says what to try.
        """
        loss = self.keeper.best_loss
        if self.guessing is not None and has_diverged(loss, self.guessing):
            raise FloatingPointError(
                f"training has diverged: the best checkpoint has a loss of {loss:.4g} on the "
                f"validation split, but a uniform prediction has only {self.guessing:.4g}; "
                f"{ADVICE}"
            )

    def _stop_if_stale(self, trainer: lightning.Trainer) -> None:
        """Stop training if patience has run out."""
        if self.patience is not None and self.without_better >= self.patience:
            log.info("stopping: no better %s in %d validations", self.monitor, self.patience)
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """Return the counters and kept checkpoints for resuming."""
        return {
            "monitor": self.monitor,
            "last_step": self.last_step,
            "without_better": self.without_better,
            "keeper": self.keeper.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the counters and the kept checkpoints.

        If ``monitor`` has changed, the kept checkpoints are forgotten, because their scores cannot
        be compared with the new one.
        """
        self.last_step = state["last_step"]
        if state.get("monitor", self.monitor) != self.monitor:
            log.warning(
                "validation.monitor is now %s and was %s. The checkpoints kept so far are no "
                "longer kept, and the next checkpoint becomes the best",
                *(self.monitor, state["monitor"]),
            )
            return
        self.without_better = state["without_better"]
        self.keeper.load_state_dict(state["keeper"])


def monitored(metrics: dict[str, Any], monitor: str) -> float:
    """Return the score named ``monitor`` of an evaluation's metrics.

    Raises:
        ValueError: if it is not among the metrics; the message lists those that are.
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
        raise ValueError(
            f"validation.monitor={monitor} is not measured; choose one of {', '.join(names)}"
        )
    return float(value)


def describe(metrics: dict[str, Any]) -> str:
    """Return a line with loss, perplexity, scores, support size and alignment error rate."""
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
