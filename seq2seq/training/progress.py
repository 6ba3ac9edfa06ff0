"""Speed and progress: tokens per second, a progress bar on a terminal, log lines elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import RichProgressBar
from torch import Tensor

from seq2seq.data.batch import Batch
from seq2seq.training.logging_interval import logging_interval

log = logging.getLogger(__name__)


class Throughput(lightning.Callback):
    """Callback that logs ``train/tokens_per_second`` every ``log_every_n_steps`` updates.

    Source and target tokens of all processes count, without padding. Validation time does not
    count.

    Args:
        lines: whether to log a line of text too; a terminal has the progress bar instead.
        pauses: returns the seconds spent so far on anything but training.
    """

    def __init__(self, lines: bool, pauses: Callable[[], float]) -> None:
        self.lines = lines
        self.pauses = pauses
        #: Token counts of the batches since the last log. They are summed only when logged, because
        #: reading them synchronises with the GPU.
        self._tokens: list[Tensor] = []
        self._since: float | None = None
        self._logged_at = 0

    def _clock(self) -> float:
        return time.perf_counter() - self.pauses()

    def on_train_batch_start(
        self,
        trainer: lightning.Trainer,
        module: lightning.LightningModule,
        batch: Batch,
        batch_index: int,
    ) -> None:
        """Count the tokens of the batch; start the clock at the first batch."""
        if self._since is None:
            self._since = self._clock()
            self._logged_at = trainer.global_step  # a resumed run has already logged this update
        self._tokens.append(batch.source_lengths.sum() + (batch.target_lengths - 1).sum())

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        module: lightning.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_index: int,
    ) -> None:
        """Log the speed since the last log, every ``log_every_n_steps`` updates."""
        assert self._since is not None
        step = trainer.global_step
        if step == self._logged_at or step % logging_interval(trainer):
            return
        self._logged_at = step
        tokens = int(trainer.strategy.reduce(torch.stack(self._tokens).sum(), reduce_op="sum"))
        now = self._clock()
        rate = tokens / max(now - self._since, 1e-9)
        module.log("train/tokens_per_second", rate)
        if self.lines:
            metrics = trainer.callback_metrics
            log.info(
                "step %d/%s: training loss %.3f%s, perplexity %.2f, %s tokens/s",
                step,
                trainer.max_steps if trainer.max_steps > 0 else "?",
                metrics.get("train/loss", float("nan")),
                # The perplexity is computed without smoothing, so it is not exp of this loss.
                " (smoothed)" if module.loss.label_smoothing > 0 else "",  # type: ignore[operator, union-attr]
                metrics.get("train/perplexity", float("nan")),
                f"{rate:,.0f}",
            )
        self._tokens.clear()
        self._since = now


class StepBar(RichProgressBar):
    """Rich progress bar with loss, perplexity and tokens per second."""

    def get_metrics(
        self, trainer: lightning.Trainer, module: lightning.LightningModule
    ) -> dict[str, Any]:
        """Return the values shown at the right of the bar."""
        shown = {}
        for name, key in (
            ("loss", "train/loss"),
            ("ppl", "train/perplexity"),
            ("tok/s", "train/tokens_per_second"),
        ):
            if key in trainer.callback_metrics:
                value = float(trainer.callback_metrics[key])
                shown[name] = f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
        return shown


def on_terminal() -> bool:
    """Return True if standard error is a terminal, where a progress bar can be drawn."""
    return sys.stderr.isatty()


def progress_callbacks(enabled: bool, pauses: Callable[[], float]) -> list[lightning.Callback]:
    """Return the callbacks for speed and progress: a bar on a terminal, log lines elsewhere."""
    bar = enabled and on_terminal()
    callbacks: list[lightning.Callback] = [Throughput(enabled and not bar, pauses)]
    return [*callbacks, StepBar(leave=True)] if bar else callbacks
