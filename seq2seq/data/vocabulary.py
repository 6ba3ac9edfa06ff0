"""What subwords and words share: texts to ids and back, and a file to keep."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from seq2seq.data.batch import UNK_ID
from seq2seq.data.cache import write_atomically
from seq2seq.data.errors import DataError
from seq2seq.data.foreign import read_bounded

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
        """For each id the index of the whitespace word it belongs to, -1 for pad, bos and eos."""

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
