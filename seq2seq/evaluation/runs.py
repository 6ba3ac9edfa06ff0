"""Run folders as results: which there are, what each found on a split, and which are incomplete."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seq2seq.data.errors import DataError
from seq2seq.data.foreign import parse_json, shown
from seq2seq.data.plain_yaml import read_yaml
from seq2seq.evaluation.report import read_metrics, read_texts
from seq2seq.evaluation.run_differences import at

#: A folder with one of these is a run's.
MARKS = ("config.yaml", "train.log", ".hydra")

#: What a split may be called: its name is part of the names of files.
SPLIT_NAME = re.compile(r"\w[\w.-]{0,99}")


@dataclass(frozen=True)
class Run:
    """What one run found on one split; its files may be a stranger's.

    Attributes:
        folder: of the run.
        place: the folder in it where metrics and outputs of the split lie.
        split: name of the split.
        config: its ``config.yaml``, with the search that made the hypotheses as ``search``.
        metrics: of the split.
        training: its ``training.json``; empty for runs of before there was one.
    """

    folder: Path
    place: Path
    split: str
    config: dict[str, Any]
    metrics: dict[str, Any]
    training: dict[str, Any]

    @property
    def scores(self) -> dict[str, float]:
        """The scores by name, in the order of ``metrics.json``."""
        return {
            name: entry["score"]
            for name, entry in self.metrics.items()
            if isinstance(entry, dict) and _is_measure(entry.get("score")) and name == shown(name)
        }

    @property
    def signatures(self) -> dict[str, str]:
        """The signature of each score."""
        return {name: shown(self.metrics[name].get("signature", ""), 500) for name in self.scores}

    def measure(self, name: str) -> float | None:
        """A score, a number beside the scores, a statistic of attention or alignment, a time."""
        places = (
            self.scores,
            self.metrics,
            *(at(self.metrics, f"{part}.overall") for part in self.metrics),
            self.training,
        )
        for place in places:
            if isinstance(place, dict) and _is_measure(value := place.get(name)):
                return value
        return None

    def hypotheses(self) -> list[str] | None:
        """The texts that were scored; None if they are not there."""
        path = self.place / f"hypotheses.{self.split}.txt"
        return read_texts(path) if path.is_file() else None

    def references(self) -> list[list[str]]:
        """The reference sets that they were scored against; empty if they are not there."""
        paths = sorted(self.place.glob(f"references*.{self.split}.txt"), key=_natural)
        return [read_texts(path) for path in paths]

    def values(self, name: str) -> list[float] | None:
        """Of a score that is a mean, the value of each example; None if it is none."""
        path = self.place / f"example_scores.{self.split}.jsonl"
        if not path.is_file():
            return None
        values = []
        for number, line in enumerate(read_texts(path), start=1):
            try:
                row = parse_json(line)
            except DataError as error:
                raise DataError(f"line {number:,} of {path}: {error}") from error
            value: Any = row.get(name) if isinstance(row, dict) else None
            if value is None and number == 1:
                return None
            if not _is_measure(value):
                raise DataError(f"line {number:,} of {path} has no number {name}")
            values.append(float(value))
        return values or None


@dataclass(frozen=True)
class LeftOut:
    """A run folder that has no results to show, and why."""

    folder: Path
    reason: str


def find_runs(
    names: Iterable[str | Path], split: str | None = None
) -> tuple[list[Run], list[LeftOut]]:
    """All runs in the folders named, in folders below them, and in those that patterns match.

    Args:
        names: run folders, folders of sweeps, patterns such as ``runs/*/toy``.
        split: whose results; None: the one that each run was tested on.

    Returns:
        The runs and the incomplete ones, each in the order of their names, 2 before 10.

    Raises:
        ValueError: if a name stands for no run folder.
    """
    runs, left_out = [], []
    for folder in _run_folders(names):
        try:
            runs.append(read_run(folder, split))
        except ValueError as error:
            left_out.append(LeftOut(folder, str(error)))
    return runs, left_out


def read_run(folder: Path, split: str | None = None) -> Run:
    """The results of one run folder.

    Raises:
        ValueError: saying what is missing or broken.
    """
    try:
        config = read_yaml(folder / "config.yaml")
    except FileNotFoundError:
        raise ValueError("no config.yaml: it ended before training began") from None
    except DataError as error:
        raise ValueError(f"config.yaml cannot be read ({error})") from error
    if not isinstance(config, dict) or not isinstance(config.get("model"), dict):
        raise ValueError("config.yaml is no configuration: it has no model")
    split = split or at(config, "test.split") or "test"
    if not isinstance(split, str) or not SPLIT_NAME.fullmatch(split):
        raise ValueError(f"{shown(split)!r} is no name of a split; give one with split=")
    places = [folder, folder / "checkpoints" / "best"]
    found = {place: read_metrics(place / "metrics.json") for place in places}
    place = next((p for p in places if isinstance(found[p].get(split), dict)), None)
    if place is None:
        if not found[folder]:
            raise ValueError(f"no metrics.json: training has not ended{_resumable(folder)}")
        others = shown(", ".join(found[folder]), 200)
        raise ValueError(
            f"no results of {split}, only of {others}; make them with "
            f"seq2seq-evaluate checkpoint={folder} data.split={split}"
        )
    metrics = found[place][split]
    test = {"search": metrics["search"]} if "search" in metrics else {}
    return Run(
        folder,
        place,
        split,
        {**config, "test": test},
        metrics,
        read_metrics(folder / "training.json"),
    )


def _is_measure(value: Any) -> bool:
    """Whether it is a number that can be averaged and shown; no NaN is."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e100


def _resumable(folder: Path) -> str:
    state = folder / "resume.ckpt"
    return f"; go on with seq2seq-train resume={folder}" if state.is_file() else ""


def _run_folders(names: Iterable[str | Path]) -> list[Path]:
    """Each run folder once."""
    found: dict[Path, Path] = {}
    for name in names:
        path = Path(name).expanduser()
        tops = [path] if path.exists() else [Path(p) for p in glob.glob(str(path), recursive=True)]
        below = [folder for top in tops for folder in _below(top)]
        if not below:
            raise ValueError(f"{name}: there is no run folder" + (" in it" if tops else ""))
        found.update({folder.resolve(): folder for folder in below})
    return sorted(found.values(), key=_natural)


def _below(top: Path) -> Iterator[Path]:
    for folder, inside, files in os.walk(top):
        if any(mark in files or mark in inside for mark in MARKS):
            inside.clear()
            yield Path(folder)


def _natural(path: Path) -> list[tuple[int, int | str]]:
    """Numbers in names in the order of numbers."""
    parts = re.split(r"(\d+)", str(path))
    return [(0, int(part)) if part.isdigit() else (1, part) for part in parts]
