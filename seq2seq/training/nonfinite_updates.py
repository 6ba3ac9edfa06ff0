"""Skip and log updates whose loss or gradient is not finite."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.optim import Optimizer

from seq2seq.data.batch import UNK_ID, Batch
from seq2seq.data.vocabulary import Vocabulary
from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.system.atomic_writing import write_atomically
from seq2seq.training.logging_interval import logging_interval

log = logging.getLogger(__name__)

#: Maximum number of files with non-finite batches that a run writes.
MOST_FILES = 5


@dataclass
class _Update:
    """Norm, batches and losses of an update; the tensors stay on their device until read."""

    step: int
    norm: Tensor
    batches: list[Batch]
    losses: list[Tensor]


class NonfiniteGuard(lightning.Callback):
    """Callback that skips non-finite updates; weights and optimizer state stay unchanged.

    ``guard`` turns a non-finite loss into NaN gradients. The gradient norm therefore shows both a
    bad loss and a bad gradient, and it is the same on all devices after the gradients are
    exchanged. A skipped update still counts as a step of the schedule.

    - A fused optimizer skips the update itself when its ``found_inf`` is set. This needs no
      synchronisation with the GPU. The callback reads the norms once per ``log_every_n_steps``
      updates there.
    - For any other optimizer, and for the first update of any optimizer, the callback reads the
      norm at once, which synchronises with the GPU. If the norm is not finite, it sets the
      gradients to None, and every optimizer skips parameters without gradients.
    - In half precision with a scaled loss (``16-mixed``), the scaler lowers its scale when
      gradients overflow. Such an update is counted here only if the loss is not finite or the scale
      is at most 1.

    The callback logs ``train/skipped_updates``, the number of skipped updates so far. It writes the
    first few bad batches to ``folder`` as JSON, with texts and ids.

    Args:
        folder: folder for bad batches; None: they are not written.
        subwords: turns the ids of bad batches into text; None: they are not written.
        max_bad_updates: stop training after this many consecutive skipped updates; None: never.
    """

    def __init__(
        self,
        folder: Path | None = None,
        subwords: VocabularyPair | None = None,
        max_bad_updates: int | None = 10,
    ) -> None:
        if max_bad_updates is not None and max_bad_updates < 1:
            raise ValueError(
                f"survival.max_bad_updates={max_bad_updates} must be at least 1; to set no limit, "
                "use null"
            )
        self.folder = folder
        self.subwords = subwords
        self.max_bad_updates = max_bad_updates
        self.skipped = 0
        self.in_row = 0
        self._rank = ""
        self._scaler: Any = None
        self._batches: list[Batch] = []
        self._losses: list[Tensor] = []
        self._updates: list[_Update] = []
        # Both flags refer to the time since the end of the last batch.
        self._made = self._counted = False

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Store the scaler of half precision (None without one) and the rank of this process."""
        self._scaler = getattr(trainer.precision_plugin, "scaler", None)
        self._rank = f".rank-{trainer.global_rank}" if trainer.world_size > 1 else ""

    def on_train_batch_start(
        self,
        trainer: lightning.Trainer,
        module: lightning.LightningModule,
        batch: Batch,
        batch_index: int,
    ) -> None:
        """Store the batch, one of those of the next update."""
        self._batches.append(batch)

    def guard(self, loss_sum: Tensor, tokens: Tensor) -> Tensor:
        """Return the summed loss of a batch, with NaN as its gradient if it is not finite."""
        value = loss_sum.detach()
        self._losses.append(value / tokens.clamp(min=1))
        return loss_sum * torch.where(value.isfinite(), 1.0, math.nan)

    def judge(self, optimizer: Optimizer, norm: Tensor, step: int) -> None:
        """Make the optimizer skip its next step if the gradient norm is not finite.

        Args:
            optimizer: the optimizer, whose parameters have their final gradients.
            norm: norm of these gradients.
            step: number of the update, counted from 1.
        """
        norm = norm.detach()
        # A fused optimizer that skips its very first step leaves its momenta uninitialised, so
        # `found_inf` is used only from the second step on.
        if optimizer.state and all(group.get("fused") for group in optimizer.param_groups):
            optimizer.found_inf = (~norm.isfinite()).float()  # type: ignore[attr-defined]
        else:
            norm = norm.cpu()
            if not norm.isfinite():
                for group in optimizer.param_groups:
                    for parameter in group["params"]:
                        parameter.grad = None
        if not self._overflowed(norm):
            self._updates.append(_Update(step, norm, self._batches, self._losses))
            self._made = True
        self._batches, self._losses = [], []

    def _overflowed(self, norm: Tensor) -> bool:
        """Return True if the losses are finite, so that a smaller scale may avoid the overflow."""
        if self._scaler is None or norm.isfinite():
            return False
        return self._scaler.get_scale() > 1 and all(loss.isfinite() for loss in self._losses)

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_index: int,
    ) -> None:
        """Count skipped updates, if due; stop after too many consecutive ones.

        Raises:
            FloatingPointError: after ``max_bad_updates``; the message says what to try.
        """
        if not self._made:
            return
        time_to_log = trainer.global_step % logging_interval(trainer) == 0
        norm_is_on_cpu = self._updates and self._updates[-1].norm.device.type == "cpu"
        if time_to_log or norm_is_on_cpu:
            self._count_skipped()
        if time_to_log:
            module.log("train/skipped_updates", float(self.skipped))
        # A resumed run may start at the limit. It stops only if its own update is bad too.
        stops = self._counted and self.in_row >= (self.max_bad_updates or math.inf)
        self._made = self._counted = False
        if stops:
            place = f"; their batches are in {self.folder}" if self.folder else ""
            raise FloatingPointError(
                f"{self.in_row} updates in a row had a loss or gradient that is not finite, up to "
                f"step {trainer.global_step}: training stopped. All of them were skipped{place}. "
                "Lower optimizer.lr or trainer.gradient_clip_val, lengthen schedule.warmup_steps, "
                "or use trainer.precision=32-true; survival.max_bad_updates sets the limit"
            )

    def _count_skipped(self) -> None:
        """Count and report the updates that were skipped since the last call."""
        updates, self._updates = self._updates, []
        if not updates:
            return
        self._counted = True
        finite = torch.stack([update.norm for update in updates]).isfinite().tolist()
        for update, is_finite in zip(updates, finite, strict=True):
            self.in_row = 0 if is_finite else self.in_row + 1
            if not is_finite:
                self.skipped += 1
                self._report(update)

    def _report(self, update: _Update) -> None:
        """Log the first few skipped updates with their batches, then every hundredth one."""
        if self.skipped > MOST_FILES and self.skipped % 100:
            return
        losses = ", ".join(f"{loss:.4g}" for loss in torch.stack(update.losses).tolist())
        text = f"update {update.step} skipped: loss {losses}, gradient norm {float(update.norm):g}"
        place = self._write(update) if self.skipped <= MOST_FILES else None
        log.warning("%s%s", text, f"; its sentences are in {place}" if place else "")

    def _write(self, update: _Update) -> Path | None:
        """Write the batches of an update; return None if that fails, so that training continues."""
        if self.folder is None or self.subwords is None:
            return None
        path = self.folder / f"step-{update.step:06d}{self._rank}.json"
        content = {
            "step": update.step,
            "gradient_norm": str(float(update.norm)),
            "batches": [
                {"loss": str(float(loss)), "sentences": sentences(batch, self.subwords)}
                for batch, loss in zip(update.batches, update.losses, strict=True)
            ],
        }
        try:
            write_atomically(path, json.dumps(content, ensure_ascii=False, indent=1).encode())
        except OSError as error:
            log.warning("could not write the batch of a skipped update: %s", error)
            return None
        return path

    @property
    def state_key(self) -> str:
        """The name of the state of this callback in a training state, also of earlier versions."""
        return "Soundness"

    def state_dict(self) -> dict[str, Any]:
        """Return the counts for resuming."""
        self._count_skipped()
        return {"skipped": self.skipped, "in_row": self.in_row}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the counts."""
        self.skipped, self.in_row = state["skipped"], state["in_row"]


def sentences(batch: Batch, subwords: VocabularyPair) -> list[dict[str, Any]]:
    """Return the sentence pairs of a batch in readable form: texts, ids, indices in the split."""
    batch = batch.to("cpu")
    rows = []
    for row, index in enumerate(batch.indices.tolist()):
        source, target = batch.ids(row)
        label = {} if batch.labels is None else {"label": int(batch.labels[row])}
        rows.append(
            {
                "index": index,
                "source": _text(source, subwords.source),
                "target": _text(target, subwords.target),
                **label,
                "source_ids": source,
                "target_ids": target,
            }
        )
    return rows


def _text(ids: list[int], vocabulary: Vocabulary) -> str:
    """Decode ids to text; copied words, whose ids exceed the vocabulary, become unknown words."""
    return vocabulary.decode([i if i < vocabulary.size else UNK_ID for i in ids])
