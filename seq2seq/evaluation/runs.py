"""Find run folders and read their results on a split."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seq2seq.evaluation.report import read_metrics, read_texts
from seq2seq.evaluation.run_differences import at
from seq2seq.system.errors import DataError
from seq2seq.system.untrusted_files import parse_json, shown
from seq2seq.system.untrusted_yaml import read_yaml

#: Files and folders that mark a run folder.
MARKS = ("config.yaml", "train.log", ".hydra")

#: Valid names of a split; the name is part of file names.
SPLIT_NAME = re.compile(r"\w[\w.-]{0,99}")


@dataclass(frozen=True)
class Run:
    """Results of a run on a split, read from untrusted files.

    Attributes:
        folder: the run folder.
        place: the folder in it that has the metrics and outputs of the split.
        split: name of the split.
        config: content of ``config.yaml``, with the search that found the hypotheses as
            ``test.search``.
        metrics: metrics of the split.
        training: content of ``training.json``; empty for older runs, which did not write it.
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
        """The signatures of the scores by name."""
        return {name: shown(self.metrics[name].get("signature", ""), 500) for name in self.scores}

    def measure(self, name: str) -> float | None:
        """Return a score, another metric, an attention or alignment statistic, or a time.

        None if the run does not have it.
        """
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
        """Return the scored texts; None if their file does not exist."""
        path = self.place / f"hypotheses.{self.split}.txt"
        return read_texts(path) if path.is_file() else None

    def references(self) -> list[list[str]]:
        """Return the reference sets of the scored texts; empty if their files do not exist."""
        paths = sorted(self.place.glob(f"references*.{self.split}.txt"), key=_natural)
        return [read_texts(path) for path in paths]

    def values(self, name: str) -> list[float] | None:
        """Return the value of each example for a score that is a mean; None for other scores.

        Raises:
            DataError: if the file of values is damaged.
        """
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
                raise DataError(f"line {number:,} of {path} has no number for {name}")
            values.append(float(value))
        return values or None


@dataclass(frozen=True)
class LeftOut:
    """A run folder without results, and the reason."""

    folder: Path
    reason: str


def find_runs(
    names: Iterable[str | Path], split: str | None = None
) -> tuple[list[Run], list[LeftOut]]:
    """Find all runs in folders, in the folders below them, and in folders that match patterns.

    Args:
        names: run folders, folders of sweeps, patterns such as ``runs/*/toy``.
        split: the split whose results are read; None: the split that each run was tested on.

    Returns:
        The runs and the incomplete ones, each sorted by name, with numbers in numeric order.

    Raises:
        ValueError: if no run folder is found for a name.
    """
    runs, left_out = [], []
    for folder in _run_folders(names):
        try:
            runs.append(read_run(folder, split))
        except ValueError as error:
            left_out.append(LeftOut(folder, str(error)))
    return runs, left_out


def read_run(folder: Path, split: str | None = None) -> Run:
    """Read the results of one run folder.

    Raises:
        ValueError: the message says what is missing or broken.
    """
    try:
        config = read_yaml(folder / "config.yaml")
    except FileNotFoundError:
        raise ValueError("no config.yaml: the run ended before training began") from None
    except DataError as error:
        raise ValueError(f"config.yaml cannot be read ({error})") from error
    if not isinstance(config, dict) or not isinstance(config.get("model"), dict):
        raise ValueError("config.yaml is not the configuration of a run: it has no key model")
    split = split or at(config, "test.split") or "test"
    if not isinstance(split, str) or not SPLIT_NAME.fullmatch(split):
        raise ValueError(f"{shown(split)!r} is not the name of a split; choose one with split=")
    places = [folder, folder / "checkpoints" / "best"]
    contents = {place: read_metrics(place / "metrics.json") for place in places}
    place = next((p for p in places if isinstance(contents[p].get(split), dict)), None)
    if place is None:
        if not contents[folder]:
            raise ValueError(f"no metrics.json: training has not ended{_resumable(folder)}")
        others = shown(", ".join(contents[folder]), 200)
        raise ValueError(
            f"no results on {split}, only on {others}; compute them with "
            f"seq2seq-evaluate checkpoint={folder} data.split={split}"
        )
    metrics = contents[place][split]
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
    """Return True for a number that can be averaged and shown; False for NaN and infinities."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e100


def _resumable(folder: Path) -> str:
    state = folder / "resume.ckpt"
    return f"; resume it with seq2seq-train resume={folder}" if state.is_file() else ""


def _run_folders(names: Iterable[str | Path]) -> list[Path]:
    """Return each run folder once."""
    folders: dict[Path, Path] = {}
    for name in names:
        path = Path(os.path.expanduser(name))
        tops = [path] if path.exists() else [Path(p) for p in glob.glob(str(path), recursive=True)]
        below = [folder for top in tops for folder in _below(top)]
        if not below:
            raise ValueError(f"{name}: there is no run folder" + (" in it" if tops else ""))
        folders.update({Path(os.path.realpath(folder)): folder for folder in below})
    return sorted(folders.values(), key=_natural)


def _below(top: Path) -> Iterator[Path]:
    for folder, inside, files in os.walk(top):
        if any(mark in files or mark in inside for mark in MARKS):
            inside.clear()
            yield Path(folder)


def _natural(path: Path) -> list[tuple[int, int | str]]:
    """Return a sort key that orders the numbers in a path numerically: 2 before 10."""
    parts = re.split(r"(\d+)", str(path))
    return [(0, int(part)) if part.isdigit() else (1, part) for part in parts]
