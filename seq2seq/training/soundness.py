"""Bad numbers: an update whose loss or gradient is not finite is not made, and is told."""

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
from seq2seq.data.cache import write_atomically
from seq2seq.data.vocabulary import Vocabulary
from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.training.interval import logging_interval

log = logging.getLogger(__name__)

#: Files of bad batches that a run writes at most.
MOST_FILES = 5


@dataclass
class _Update:
    """What is known of an update before anybody looks: nothing here waits for a GPU."""

    step: int
    norm: Tensor
    batches: list[Batch]
    losses: list[Tensor]


class Soundness(lightning.Callback):
    """Skips updates that are not finite: weights and the optimizer's state stay as they were.

    A loss that is not finite makes all gradients NaN (``guard``), so that the norm of the gradient
    tells of both, and is the same on all devices once gradients are exchanged. What is skipped
    still counts as a step of the schedule.

    A fused optimizer skips by itself, told by its ``found_inf``: no step waits for a GPU, and on
    one this looks once in ``log_every_n_steps`` updates. Of any other optimizer, and at the first
    update of any, the norm is read (on a GPU the step waits for that) and the gradients are
    dropped, which every optimizer passes over.
    In half precision with a scaled loss (``16-mixed``), gradients that overflow tell the scaler to
    take a smaller scale; they are counted here only when the loss is not finite or the scale is
    down to 1.

    Logged: ``train/skipped_updates``, their number so far. The first few bad batches are written
    to ``folder`` as JSON, with texts and ids.

    Args:
        folder: where bad batches are written; None: nowhere.
        subwords: to write them with.
        max_bad_updates: after so many in a row training stops; None: never.
    """

    def __init__(
        self,
        folder: Path | None = None,
        subwords: VocabularyPair | None = None,
        max_bad_updates: int | None = 10,
    ) -> None:
        if max_bad_updates is not None and max_bad_updates < 1:
            raise ValueError(
                f"survival.max_bad_updates={max_bad_updates} has to be at least 1, or null"
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
        self._made = self._counted = False  # since the end of the last batch

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Know the scaler of half precision, if there is one, and which process this is."""
        self._scaler = getattr(trainer.precision_plugin, "scaler", None)
        self._rank = f".rank-{trainer.global_rank}" if trainer.world_size > 1 else ""

    def on_train_batch_start(
        self,
        trainer: lightning.Trainer,
        module: lightning.LightningModule,
        batch: Batch,
        batch_index: int,
    ) -> None:
        """Keep the batches of the update."""
        self._batches.append(batch)

    def guard(self, loss_sum: Tensor, tokens: Tensor) -> Tensor:
        """The summed loss of a batch; where it is not finite, its gradient is NaN."""
        found = loss_sum.detach()
        self._losses.append(found / tokens.clamp(min=1))
        return loss_sum * torch.where(found.isfinite(), 1.0, math.nan)

    def judge(self, optimizer: Optimizer, norm: Tensor, step: int) -> None:
        """Let the optimizer pass over the update it is about to make, if that is not finite.

        Args:
            optimizer: whose gradients are final.
            norm: of these gradients.
            step: the number of the update, from 1.
        """
        norm = norm.detach()
        # A fused optimizer begins its momenta with whatever lay in memory if it skips at once.
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
        """Whether the scaler of half precision has only to find a smaller scale."""
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
        """Look, where it costs nothing or is time to; stop after too many in a row.

        Raises:
            FloatingPointError: saying what to try.
        """
        if not self._made:
            return
        time_to_log = trainer.global_step % logging_interval(trainer) == 0
        waits_for_nothing = self._updates and self._updates[-1].norm.device.type == "cpu"
        if time_to_log or waits_for_nothing:
            self._look()
        if time_to_log:
            module.log("train/skipped_updates", float(self.skipped))
        # A resumed run begins with a count that is no reason to stop: its next update may be good.
        stops = self._counted and self.in_row >= (self.max_bad_updates or math.inf)
        self._made = self._counted = False
        if stops:
            seen = f"; their batches are in {self.folder}" if self.folder else ""
            raise FloatingPointError(
                f"{self.in_row} updates in a row had a loss or gradient that is not finite, up to "
                f"step {trainer.global_step}: training stopped, and none of them was made{seen}. "
                "Lower optimizer.lr or trainer.gradient_clip_val, lengthen schedule.warmup_steps, "
                "or use trainer.precision=32-true; survival.max_bad_updates sets the limit"
            )

    def _look(self) -> None:
        """Count what was skipped since the last look."""
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
        """Log the first few, with their batches, then now and then."""
        if self.skipped > MOST_FILES and self.skipped % 100:
            return
        losses = ", ".join(f"{loss:.4g}" for loss in torch.stack(update.losses).tolist())
        told = f"update {update.step} skipped: loss {losses}, gradient norm {float(update.norm):g}"
        place = self._write(update) if self.skipped <= MOST_FILES else None
        log.warning("%s%s", told, f"; its sentences are in {place}" if place else "")

    def _write(self, update: _Update) -> Path | None:
        """Write the batches of an update; training goes on where that fails."""
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
            log.warning("a bad batch could not be written: %s", error)
            return None
        return path

    def state_dict(self) -> dict[str, Any]:
        """For resuming."""
        self._look()
        return {"skipped": self.skipped, "in_row": self.in_row}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on counting."""
        self.skipped, self.in_row = state["skipped"], state["in_row"]


def sentences(batch: Batch, subwords: VocabularyPair) -> list[dict[str, Any]]:
    """The sentence pairs of a batch, for people: texts, ids and places in the split."""
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
    """The text of some ids; words that could be copied are unknown here."""
    return vocabulary.decode([i if i < vocabulary.size else UNK_ID for i in ids])
