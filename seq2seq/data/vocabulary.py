"""The base class of vocabularies, which turn texts into ids and back."""

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
    """A vocabulary, with pad 0, unk 1, bos 2, eos 3.

    Two vocabularies are equal if their files are equal.

    Attributes:
        model: the bytes of its file.
        kind: what messages call such a file.
        file_name: its name in a checkpoint directory, with `{}` for the side.
    """

    model: bytes
    kind: ClassVar[str]
    file_name: ClassVar[str]

    @abstractmethod
    def __init__(self, model: bytes) -> None:
        """Parse the bytes of a file as data; they may be untrusted."""

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a vocabulary from a file.

        Raises:
            DataError: if the file is missing or is not such a vocabulary.
        """
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
        """Number of ids, including the special ids."""

    @abstractmethod
    def encode(
        self, text: str, sample: bool = False, *, alpha: float = 0.1, nbest: int = -1
    ) -> list[int]:
        """Return the ids of a text, without bos and eos; see `Subwords.encode` for sampling."""

    @abstractmethod
    def encode_batch(
        self, texts: list[str], sample: bool = False, *, alpha: float = 0.1, nbest: int = -1
    ) -> list[NDArray[np.int32]]:
        """Return `encode` of many texts, as arrays."""

    @abstractmethod
    def decode(
        self, ids: Sequence[int], source: str = "", unknown: Sequence[str] | None = None
    ) -> str:
        """Return the text of some ids; pad, bos and eos are dropped.

        Args:
            ids: the ids; those from `size` on are copied words of `source`, see `unknown_words`.
            source: the sentence that copied words come from.
            unknown: replacements for the unknown ids, in their order; None: keep the unknown word.
        """

    def written_ids(self, text: str) -> list[int]:
        """Return the ids that write a text; `<unk>` is the unknown id, [] if no ids write it."""
        if text == self.pieces([UNK_ID])[0]:
            return [UNK_ID]
        ids = self.encode(text)
        return [] if UNK_ID in ids else ids

    @abstractmethod
    def pieces(self, ids: Sequence[int], source: str = "") -> list[str]:
        """Return the written form of each id; for arguments see `decode`."""

    @abstractmethod
    def words(self, ids: Sequence[int]) -> list[int]:
        """Return for each id the index of its word in the written text; -1 for pad, bos and eos.

        Use it for the output of a model. For the ids of a known text use `words_of`, because the
        words that ids write may differ from those of the text.
        """

    @abstractmethod
    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return for each id of `encode(text)` the start and the end of its characters."""

    def words_of(self, text: str, ids: Sequence[int]) -> list[int]:
        """Return for each id the index of its word in `text.split()`; -1 for pad, bos and eos.

        An id without characters of a word, such as that of a blank, belongs to the word after it;
        at the end of the text, to the last word.

        Args:
            text: the encoded text.
            ids: ids of `text` or of its beginning, possibly with pad, bos and eos around them.
        """
        words = list(accumulate(starts_word(text)))
        spans = iter(self.spans(text))
        indices = []
        for i in map(int, ids):
            if i in CONTROLS:
                indices.append(-1)
                continue
            place = next(spans)[0]
            while place < len(text) and text[place].isspace():
                place += 1
            indices.append(words[min(place, len(text) - 1)] - 1 if words else -1)
        return indices

    def attended_words(self, text: str) -> list[str]:
        """Return for each id of `encode(text)` its word in the text, to replace unknown tokens."""
        words = text.split()
        ids = self.encode(text)
        return [words[i] if i >= 0 else "" for i in self.words_of(text, ids)]

    def unknown_words(self, text: str) -> list[str]:
        """Return the distinct words of a text that have no id, in order; [] for subwords.

        For a model that copies, unknown word k (from 0) of a source sentence has the id `size + k`.
        """
        return []

    def extended(self, ids: Sequence[int], text: str, unknown: Sequence[str]) -> Sequence[int]:
        """Return the ids of `text`, with ids from `size` on for its words that are in `unknown`.

        Args:
            ids: ids of `text` or of its beginning.
            text: the encoded text.
            unknown: the `unknown_words` of the source sentence.
        """
        return ids


def starts_word(text: str) -> Iterator[bool]:
    """Yield for each character whether a word of `text.split()` begins there."""
    blank = True
    for character in text:
        yield blank and not character.isspace()
        blank = character.isspace()
