"""Checkpoint directories of a run: the last, the best few, their average."""

from __future__ import annotations

import logging
import math
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor

from seq2seq.checkpoint import WEIGHTS, CheckpointError, check, save_checkpoint
from seq2seq.checkpoint.checksum import checksum_file
from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.evaluation.report import write_metrics, write_outputs
from seq2seq.models.attending import AttendingModel
from seq2seq.system.atomic_writing import replacing_folder

log = logging.getLogger(__name__)

Scored = tuple[float, dict[str, Any], Mapping[str, Sequence[str]]]
#: Prefixes of the outputs that the significance tests of ``seq2seq-compare`` need.
TESTED = ("hypotheses", "references", "example_scores")


class Kept(NamedTuple):
    """A kept checkpoint: its monitored score, its step and its validation loss."""

    score: float
    step: int
    loss: float = math.inf


class CheckpointKeeper:
    """Writer of the checkpoints ``last``, ``best`` and ``step-…``.

    At every validation it writes ``last``. It keeps the best few checkpoints as ``step-…`` and
    copies the best of all to ``best``.

    Args:
        folder: the folder ``checkpoints`` of the run folder.
        subwords: vocabularies, saved in every checkpoint.
        config: configuration, saved in every checkpoint.
        keep: number of best checkpoints to keep.
        higher_is_better: whether a higher score is better.
        writes: whether this process writes the files; the others only track which are kept.
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
        #: The kept checkpoints, best first.
        self.kept: list[Kept] = []
        #: Score and loss of ``best``, which may be the average checkpoint.
        self.best_score: float | None = None
        self.best_loss = math.inf

    def _rank(self, score: float, loss: float) -> tuple[float, float]:
        """Return a sort key that is smaller for a better checkpoint; NaN ranks last."""
        cost = -score if self.higher_is_better else score
        return _or_inf(cost), _or_inf(loss)

    def _is_best(self, score: float, loss: float) -> bool:
        """Return True if these values are better than those of ``best``; then store them."""
        best = self.best_score
        if best is not None and self._rank(score, loss) >= self._rank(best, self.best_loss):
            return False
        self.best_score, self.best_loss = score, loss
        return True

    def path(self, step: int) -> Path:
        """Return the checkpoint directory of a step."""
        return self.folder / f"step-{step:06d}"

    def offer(
        self,
        model: AttendingModel,
        step: int,
        score: float,
        metrics: dict[str, Any],
        outputs: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> bool:
        """Keep the model if it is among the best; return True if it is the best of all.

        At equal scores the smaller loss ranks first, and at equal losses the earlier checkpoint.
        The outputs for significance tests are written beside ``metrics.json``.
        """
        last = self.folder / "last"
        self._save(last, model, metrics, outputs)
        entry = Kept(score, step, metrics["loss"])
        ranked = sorted(
            {*self.kept, entry}, key=lambda kept: (*self._rank(kept.score, kept.loss), kept.step)
        )
        dropped = ranked[self.keep :]
        if entry not in dropped:
            self._copy(last, self.path(step))
        for old in dropped:
            self._remove(self.path(old.step))
        self.kept = ranked[: self.keep]
        is_best = self._is_best(score, entry.loss)
        if is_best:
            self._copy(last, self.folder / "best")
        return is_best

    def _copy(self, checkpoint: Path, folder: Path) -> None:
        """Replace ``folder`` by a copy of ``checkpoint``, with hard links if possible."""
        if not self.writes:
            return
        with replacing_folder(folder) as new:
            for path in checkpoint.iterdir():
                _link_or_copy(path, new / path.name)

    def average(
        self, model: AttendingModel, evaluate: Callable[[AttendingModel], Scored]
    ) -> tuple[float, bool] | None:
        """Average the weights of the kept checkpoints; make the average ``best`` if it is better.

        Args:
            model: receives the averaged weights.
            evaluate: returns score, metrics and outputs of a model.

        Returns:
            The score of the average and whether it became the best; None if fewer than two
            checkpoints are kept.
        """
        kept = [path for entry in self.kept if self._whole(path := self.path(entry.step))]
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
            raise ValueError(
                f"the checkpoints in {self.folder} have weights that the model does not have: "
                f"{unexpected}"
            )
        del missing  # tied weights are stored once
        score, metrics, outputs = evaluate(model)
        better = self._is_best(score, metrics["loss"])
        folder = self.folder / "average"
        self._save(folder, model, metrics, outputs)
        if better:
            self._copy(folder, self.folder / "best")
        return score, better

    def _remove(self, folder: Path) -> None:
        if self.writes:
            shutil.rmtree(folder, ignore_errors=True)

    def _save(
        self,
        folder: Path,
        model: AttendingModel,
        metrics: dict[str, Any],
        outputs: Mapping[str, Sequence[str]],
    ) -> None:
        if not self.writes:
            return
        save_checkpoint(folder, model, self.subwords, self.config)
        write_metrics(folder / "metrics.json", {"validation": metrics})
        tested = {name: lines for name, lines in outputs.items() if name.startswith(TESTED)}
        write_outputs(folder, "validation", tested)

    def state_dict(self) -> dict[str, Any]:
        """Return the kept checkpoints and the values of ``best`` for resuming."""
        return {
            "kept": [list(entry) for entry in self.kept],
            "best_score": self.best_score,
            "best_loss": self.best_loss,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the kept checkpoints of ``state``; :meth:`restore` then adapts the folder."""
        # States of earlier versions have no losses. The default, infinity, loses every tie.
        self.kept = [Kept(float(entry[0]), int(entry[1]), *entry[2:]) for entry in state["kept"]]
        self.best_score = state["best_score"]
        self.best_loss = state.get("best_loss", math.inf)

    def restore(self) -> None:
        """Restore the folder to the loaded state, as far as possible.

        A killed run may have continued after the state was saved. Therefore:

        - later ``step-…`` checkpoints are removed, because training writes them again;
        - ``best`` becomes the best kept checkpoint again, if it was that one;
        - kept checkpoints that the run has removed are no longer kept, because the same better
          ones will replace them again.
        """
        self.kept = [entry for entry in self.kept if self._whole(self.path(entry.step))]
        known = {entry.step for entry in self.kept}
        for path in self.folder.glob("step-*"):
            match = re.fullmatch(r"step-(\d+)", path.name)
            if match and int(match[1]) not in known:
                self._remove(path)
        if self.kept and self.kept[0].score == self.best_score:
            self._copy(self.path(self.kept[0].step), self.folder / "best")

    def _whole(self, folder: Path) -> bool:
        """Return True if a checkpoint exists and is undamaged.

        A half-removed one has no checksum file.
        """
        if not checksum_file(folder / WEIGHTS).is_file():
            return False
        try:
            check(folder / WEIGHTS)
        except (CheckpointError, OSError) as error:
            log.warning("%s; it is no longer kept", error)
            return False
        return True


def _or_inf(value: float) -> float:
    return math.inf if math.isnan(value) else value


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
