"""Greedy search: the most probable token, one after another."""

from typing import Unpack

from torch import Tensor

from seq2seq.search.search import Options
from seq2seq.search.single import Single


class Greedy(Single):
    """Takes the most probable token at every position, until it is eos.

    Args:
        options: those of every search, see ``Search``.
    """

    def __init__(self, **options: Unpack[Options]) -> None:
        super().__init__(**options)

    def choose(self, step: Tensor, length: int, keys: Tensor) -> Tensor:
        """See the base class."""
        return step.argmax(-1)
