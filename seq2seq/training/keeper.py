"""The checkpoint directories of a run: the last, the best few, their average."""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from seq2seq.checkpoint import WEIGHTS, CheckpointError, check, replacing_folder, save_checkpoint
from seq2seq.checkpoint.checksum import checksum_file
from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.evaluation.report import write_metrics
from seq2seq.models.attending import AttendingModel

log = logging.getLogger(__name__)


class CheckpointKeeper:
    """Writes ``last`` at every validation, ``step-…`` for the best few of them, and ``best``.

    Args:
        folder: the run folder's ``checkpoints``.
        subwords: saved in every checkpoint.
        config: saved in every checkpoint.
        keep: how many of the best to keep.
        higher_is_better: the sense of the score.
        writes: whether this is the process that writes; others only know what is kept.
    """

    def __init__(
        self,
        folder: Path,
        subwords: VocabularyPair,
        config: dict[str, Any],
        keep: int = 3,
        higher_is_better: bool = True,
        writes: bool = True,
    ) -> None:
        if keep < 1:
            raise ValueError(f"validation.keep_best must be at least 1, got {keep}")
        self.folder = folder
        self.subwords = subwords
        self.config = config
        self.keep = keep
        self.higher_is_better = higher_is_better
        self.writes = writes
        #: (score, step) of the kept checkpoints, best first.
        self.kept: list[tuple[float, int]] = []
        #: Score of ``best``, which may be an average's.
        self.best_score: float | None = None

    def _better(self, score: float) -> bool:
        """Whether ``score`` is better than that of ``best``."""
        if self.best_score is None:
            return True
        return score > self.best_score if self.higher_is_better else score < self.best_score

    def path(self, step: int) -> Path:
        """The checkpoint directory of a step."""
        return self.folder / f"step-{step:06d}"

    def offer(
        self, model: AttendingModel, step: int, score: float, metrics: dict[str, Any]
    ) -> bool:
        """Keep the model if it is among the best; say whether it is the best of all.

        At equal scores the earlier checkpoint ranks first.
        """
        last = self.folder / "last"
        self._save(last, model, metrics)
        sign = -1.0 if self.higher_is_better else 1.0
        ranked = sorted({*self.kept, (score, step)}, key=lambda entry: (sign * entry[0], entry[1]))
        dropped = ranked[self.keep :]
        if (score, step) not in dropped:
            self._copy(last, self.path(step))
        for _, old in dropped:
            self._remove(self.path(old))
        self.kept = ranked[: self.keep]
        is_best = self._better(score)
        if is_best:
            self.best_score = score
            self._copy(last, self.folder / "best")
        return is_best

    def _copy(self, checkpoint: Path, folder: Path) -> None:
        """Put a copy of ``checkpoint`` in the place of ``folder``: hard links where they work."""
        if not self.writes:
            return
        with replacing_folder(folder) as new:
            for path in checkpoint.iterdir():
                _link_or_copy(path, new / path.name)

    def average(
        self, model: AttendingModel, evaluate: Callable[[AttendingModel], tuple[float, dict]]
    ) -> tuple[float, bool] | None:
        """Try the mean of the kept checkpoints' weights; make it ``best`` where it scores better.

        Args:
            model: receives the averaged weights.
            evaluate: score and metrics of a model.

        Returns:
            The average's score and whether it became the best; None with fewer than two kept.
        """
        kept = [path for _, step in self.kept if self._whole(path := self.path(step))]
        if len(kept) < 2:
            return None
        states = [load_file(str(path / WEIGHTS)) for path in kept]
        averaged: dict[str, Tensor] = {}
        for name, first in states[0].items():
            if first.is_floating_point():
                total = torch.stack([state[name].double() for state in states]).mean(dim=0)
                averaged[name] = total.to(first.dtype)
            else:
                averaged[name] = first
        missing, unexpected = model.load_state_dict(averaged, strict=False)
        if unexpected:
            raise ValueError(f"checkpoints hold weights unknown to the model: {unexpected}")
        del missing  # tied weights are stored once
        score, metrics = evaluate(model)
        better = self._better(score)
        folder = self.folder / "average"
        self._save(folder, model, metrics)
        if better:
            self.best_score = score
            self._copy(folder, self.folder / "best")
        return score, better

    def _remove(self, folder: Path) -> None:
        if self.writes:
            shutil.rmtree(folder, ignore_errors=True)

    def _save(self, folder: Path, model: AttendingModel, metrics: dict[str, Any]) -> None:
        if not self.writes:
            return
        save_checkpoint(folder, model, self.subwords, self.config)
        write_metrics(folder / "metrics.json", {"validation": metrics})

    def state_dict(self) -> dict[str, Any]:
        """For resuming."""
        return {"kept": [list(entry) for entry in self.kept], "best_score": self.best_score}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with the kept checkpoints of ``state``; see :meth:`restore`."""
        self.kept = [(float(score), int(step)) for score, step in state["kept"]]
        self.best_score = state["best_score"]

    def restore(self) -> None:
        """Make the folder what it was at the state that was loaded, as far as it can be.

        A run that was killed may have gone further: it wrote later checkpoints, which are removed,
        since training makes them again; made one of them ``best``, which becomes again what it was;
        and removed some for them, which are kept no longer, since the same ones will push them out.
        """
        self.kept = [entry for entry in self.kept if self._whole(self.path(entry[1]))]
        known = {step for _, step in self.kept}
        for path in self.folder.glob("step-*"):
            match = re.fullmatch(r"step-(\d+)", path.name)
            if match and int(match[1]) not in known:
                self._remove(path)
        if self.kept and self.kept[0][0] == self.best_score:
            self._copy(self.path(self.kept[0][1]), self.folder / "best")

    def _whole(self, folder: Path) -> bool:
        """Whether a checkpoint is there, undamaged; one half removed has no checksum."""
        if not checksum_file(folder / WEIGHTS).is_file():
            return False
        try:
            check(folder / WEIGHTS)
        except (CheckpointError, OSError) as error:
            log.warning("%s; it is no longer kept", error)
            return False
        return True


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
