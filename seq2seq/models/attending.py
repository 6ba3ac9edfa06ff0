"""What all models with attention share, whatever their task."""

from abc import ABC, abstractmethod

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
