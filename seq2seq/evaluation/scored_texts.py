"""Identify the texts that scores belong to, and choose the folder of the scores.

``metrics.json`` of a checkpoint or a run has the scores on its own corpus. Scores on other texts go
to a separate folder, so that they never replace those that a model card reports.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq.data.corpora.corpus import content_of
from seq2seq.evaluation.report import read_metrics

if TYPE_CHECKING:
    from datasets import Dataset

METRICS = "metrics.json"
EVALUATIONS = "evaluations"
CONFIG = "config.yaml"  # marks a run folder or a checkpoint


@dataclass(frozen=True)
class ScoredTexts:
    """A split of a corpus, identified by its content.

    Attributes:
        corpus: class name of the corpus, such as ``Text``.
        split: name of the split.
        content: hash of its texts (``content_of``).
        examples: number of examples.
    """

    corpus: str
    split: str
    content: str
    examples: int

    @classmethod
    def of(cls, corpus: str, split: str, texts: Dataset) -> ScoredTexts:
        """Identify ``texts``, the split ``split`` of the corpus class ``corpus``."""
        return cls(corpus, split, content_of(texts), len(texts))

    def entry(self) -> dict[str, Any]:
        """Return the entries of ``metrics.json`` that identify the texts."""
        return {"corpus": self.corpus, "texts": self.content, "examples": self.examples}

    def belong_to(self, checkpoint: Path, same_corpus: bool) -> bool:
        """Return True if these are the texts of the checkpoint's own corpus.

        Args:
            checkpoint: a checkpoint directory.
            same_corpus: whether the corpus is configured as in training. This is the result for
                splits whose content the checkpoint has not recorded.
        """
        recorded = recorded_content(checkpoint, self.split)
        return same_corpus if recorded is None else recorded == self.content

    def folder(self, checkpoint: Path) -> Path:
        """Return the folder for a checkpoint's scores on these texts, if they are not its own.

        It is ``RUN/evaluations/best/text-test-1a2b3c4d``, or ``FOLDER/evaluations/…`` for a
        checkpoint without a run folder.
        """
        name = f"{self.corpus.lower()}-{self.split}-{self.content[:8]}"
        run = run_of(checkpoint)
        inner = "" if run == checkpoint else checkpoint.name
        return run / EVALUATIONS / inner / name


def run_of(checkpoint: Path) -> Path:
    """Return the run folder of a checkpoint directory; the directory itself if it has none."""
    return checkpoint.parent.parent if checkpoint.parent.name == "checkpoints" else checkpoint


def recorded_content(folder: Path, split: str) -> str | None:
    """Return the hash of the texts whose scores a folder has under the name ``split``, or None."""
    entry = read_metrics(folder / METRICS).get(split)
    content = entry.get("texts") if isinstance(entry, Mapping) else None
    return content if isinstance(content, str) else None


def own_folders(checkpoint: Path) -> set[Path]:
    """Return the folders whose scores are those of this checkpoint: itself, the run of ``best``."""
    folders = {Path(os.path.realpath(checkpoint))}
    if checkpoint.name == "best" and checkpoint.parent.name == "checkpoints":
        folders.add(Path(os.path.realpath(checkpoint)).parent.parent)
    return folders


def check_output(folder: Path, name: str, content: str, own: Collection[Path] = ()) -> None:
    """Raise `ValueError` if scores of other texts or another model would be replaced.

    Args:
        folder: the folder of ``metrics.json``.
        name: the name of the scores in it.
        content: hash of the scored texts.
        own: folders of runs and checkpoints that may be written to.

    Raises:
        ValueError: if the folder belongs to another run or checkpoint, or has scores of other
            texts under this name.
    """
    if (folder / CONFIG).is_file() and Path(os.path.realpath(folder)) not in own:
        raise ValueError(
            f"output={folder} is a run or a checkpoint, and its {METRICS} has the scores of its "
            "own model on its own corpus; choose another folder"
        )
    if recorded_content(folder, name) not in (None, content):
        raise ValueError(
            f"output={folder}: its {METRICS} has scores of other texts under the name {name}; "
            "choose another folder"
        )
