"""What subwords and words share: texts to ids and back, and a file to keep."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from seq2seq.data.batch import BOS_ID, EOS_ID, PAD_ID, UNK_ID
from seq2seq.system.atomic_writing import write_atomically
from seq2seq.system.errors import DataError
from seq2seq.system.untrusted_files import read_bounded

CONTROLS = (PAD_ID, BOS_ID, EOS_ID)
LARGEST_FILE = 64 * 2**20  # bytes; a million words take about 10 MiB


class Vocabulary(ABC):
    """Texts as ids, with pad 0, unk 1, bos 2, eos 3. Two are equal if their files are.

    Attributes:
        model: the bytes of its file.
        kind: what such a file is called in messages.
        file_name: its name in a checkpoint directory, with a place for the side.
    """

    model: bytes
    kind: ClassVar[str]
    file_name: ClassVar[str]

    @abstractmethod
    def __init__(self, model: bytes) -> None:
        """Read a file, perhaps a stranger's: it is parsed as data, never executed."""

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file."""
        path = Path(path)
        if not path.is_file():
            raise DataError(f"there is no {cls.kind} at {path.absolute()}")
        content = read_bounded(path, LARGEST_FILE, cls.kind)
        try:
            return cls(content)
        except DataError as error:
            raise DataError(f"{path}: {error}") from error

    def save(self, path: str | Path) -> None:
        """Write the file, atomically."""
        write_atomically(Path(path), self.model)

    def __reduce__(self) -> tuple[type[Self], tuple[bytes]]:
        return type(self), (self.model,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self.model == other.model

    def __hash__(self) -> int:
        return hash(self.model)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.size} pieces)"

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of ids, special ones included."""

    @abstractmethod
    def encode(
        self, text: str, sample: bool = False, *, alpha: float = 0.1, nbest: int = -1
    ) -> list[int]:
        """Ids of a text, without bos and eos; see `Subwords.encode` for sampling."""

    @abstractmethod
    def encode_batch(
        self, texts: list[str], sample: bool = False, *, alpha: float = 0.1, nbest: int = -1
    ) -> list[NDArray[np.int32]]:
        """`encode` of many texts at once, as arrays."""

    @abstractmethod
    def decode(
        self, ids: Sequence[int], source: str = "", unknown: Sequence[str] | None = None
    ) -> str:
        """The text of some ids; pad, bos and eos are dropped.

        Args:
            ids: those from `size` on are words of `source` that were copied; see `unknown_words`.
            source: the sentence that was copied from.
            unknown: texts for the unknown ids among them, in their order.
        """

    def written_ids(self, text: str) -> list[int]:
        """The ids that write a text, `<unk>` being the unknown one; none where they cannot."""
        if text == self.pieces([UNK_ID])[0]:
            return [UNK_ID]
        ids = self.encode(text)
        return [] if UNK_ID in ids else ids

    @abstractmethod
    def pieces(self, ids: Sequence[int], source: str = "") -> list[str]:
        """The written form of each id; arguments as in `decode`."""

    @abstractmethod
    def words(self, ids: Sequence[int]) -> list[int]:
        """For each id the index of the written word it belongs to, -1 for pad, bos and eos.

        Use it for ids that a model wrote. For the ids of a known text, use `words_of`: the words
        that ids write may differ from those of the text.
        """

    @abstractmethod
    def spans(self, text: str) -> list[tuple[int, int]]:
        """For each id of `encode(text)` the start and end of its characters in the text."""

    def words_of(self, text: str, ids: Sequence[int]) -> list[int]:
        """For each id the index of its word in `text.split()`, -1 for pad, bos and eos.

        An id without a character of a word, such as that of a blank, belongs to the word after it,
        at the end of the text to the last word.

        Args:
            text: what was encoded.
            ids: of `text`, or of its beginning; pad, bos and eos may stand around them.
        """
        words = list(accumulate(starts_word(text)))
        spans = iter(self.spans(text))
        found = []
        for i in map(int, ids):
            if i in CONTROLS:
                found.append(-1)
                continue
            place = next(spans)[0]
            while place < len(text) and text[place].isspace():
                place += 1
            found.append(words[min(place, len(text) - 1)] - 1 if words else -1)
        return found

    def attended_words(self, text: str) -> list[str]:
        """For each id of `encode(text)` its word in the text, which can replace an unknown one."""
        words = text.split()
        ids = self.encode(text)
        return [words[i] if i >= 0 else "" for i in self.words_of(text, ids)]

    def unknown_words(self, text: str) -> list[str]:
        """The distinct words of a text that have no id, in order; none where all can be spelled.

        To a model that copies, the k-th (from 0) of a source sentence is the id `size + k`.
        """
        return []

    def extended(self, ids: Sequence[int], text: str, unknown: Sequence[str]) -> Sequence[int]:
        """The ids of `text`, with ids from `size` on for its words that are in `unknown`.

        Args:
            ids: of `text`, or of its beginning.
            text: what was encoded.
            unknown: the `unknown_words` of the source sentence.
        """
        return ids


def starts_word(text: str) -> Iterator[bool]:
    """For each character whether a word of `text.split()` begins there."""
    blank = True
    for character in text:
        yield blank and not character.isspace()
        blank = character.isspace()
