"""The vocabularies of both sides, as a checkpoint stores them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seq2seq.data.subwords import Subwords
from seq2seq.data.vocabulary import Vocabulary
from seq2seq.data.words import Words
from seq2seq.system.errors import DataError


@dataclass(frozen=True)
class VocabularyPair:
    """The vocabularies of both sides, which may be the same object."""

    source: Vocabulary
    target: Vocabulary

    @property
    def joint(self) -> bool:
        """Whether both sides share one vocabulary."""
        return self.source is self.target

    def save(self, folder: str | Path) -> None:
        """Write `subwords.model`, or `subwords.source.model` and `subwords.target.model`.

        Word vocabularies are `words.json`, or `words.source.json` and `words.target.json`. Removes
        other vocabularies from the folder.
        """
        folder = Path(folder)
        for kind in (Subwords, Words):
            for side in ("", ".source", ".target"):
                (folder / kind.file_name.format(side)).unlink(missing_ok=True)
        if self.joint:
            self.source.save(folder / self.source.file_name.format(""))
        else:
            self.source.save(folder / self.source.file_name.format(".source"))
            self.target.save(folder / self.target.file_name.format(".target"))

    @classmethod
    def load(cls, folder: str | Path) -> VocabularyPair:
        """Read the files that `save` wrote.

        Raises:
            DataError: if the folder has no pair of vocabularies, or a file is damaged.
        """
        folder = Path(folder)
        if joint := _load(folder, ""):
            return cls(joint, joint)
        sides = [_load(folder, f".{side}") for side in ("source", "target")]
        if sides[0] is None or sides[1] is None:
            raise DataError(f"there is no subword model or word vocabulary in {folder.absolute()}")
        return cls(sides[0], sides[1])

    def __reduce__(self) -> tuple[Any, tuple[Vocabulary, Vocabulary | None]]:
        return _pair, (self.source, None if self.joint else self.target)


def _load(folder: Path, side: str) -> Vocabulary | None:
    """Return the vocabulary of a side in a folder; None if there is no file."""
    for kind in (Subwords, Words):
        path = folder / kind.file_name.format(side)
        if path.exists():
            return kind.load(path)
    return None


def _pair(source: Vocabulary, target: Vocabulary | None) -> VocabularyPair:
    return VocabularyPair(source, source if target is None else target)
