"""Greedy search: the most probable token, one after another."""

from typing import Unpack

import torch
from torch import Tensor

from seq2seq.search.search import Options
from seq2seq.search.single import Single


class Greedy(Single):
    """Greedy search: take the most probable token at every position, up to eos.

    Args:
        options: the options of every search, see ``Search``.
    """

    def __init__(self, **options: Unpack[Options]) -> None:
        super().__init__(**options)

    def choose(self, step: Tensor, length: int, keys: Tensor) -> Tensor:
        """See the base class."""
        if step.device.type == "cpu":  # NumPy takes a third of PyTorch's time
            return torch.from_numpy(step.numpy().argmax(-1))
        return step.argmax(-1)
