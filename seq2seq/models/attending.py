"""What all models with attention share, whatever their task."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from seq2seq.mappings import Mapping


class AttendingModel(nn.Module, ABC):
    """A model whose attention mappings are plugs.

    Attributes:
        max_length: the longest sequence that the model can number, None if there is no limit.
    """

    max_length: int | None = None

    @abstractmethod
    def attention_mappings(self) -> dict[str, list[Mapping]]:
        """The mappings of each kind of attention, a layer each.

        ``cross`` (from one text to the other), and where they exist further kinds, such as
        ``encoder`` and ``decoder`` (self-attention).
        """


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """No gradients, no dropout; afterwards ``model`` is in the mode in which it came."""
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(training)
