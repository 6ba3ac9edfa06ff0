"""What all models with attention share, whatever their task."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from seq2seq.mappings import Mapping
from seq2seq.nn.choice import choose

#: What γ of attention counts in, by the name in a configuration: whether it is relative.
STRENGTHS = {"absolute": False, "relative": True}


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

    def parts(self) -> dict[str, list[nn.Module]]:
        """Return what can be frozen, by the names that users know; parts may share modules."""
        return {
            name: [child]
            for name, child in self.named_children()
            if not isinstance(child, Mapping) and any(True for _ in child.parameters())
        }


def with_strength(mapping: Mapping, strength: str) -> Mapping:
    """Return the mapping of an attention with γ as ``strength`` says.

    Args:
        mapping: of an attention.
        strength: ``absolute``: γ as in the literature; ``relative``: in units of the strength that
            compares with softmax's (:meth:`seq2seq.mappings.Mapping.relative`).

    Raises:
        ValueError: for any other strength.
    """
    return mapping.relative() if choose("strength", strength, STRENGTHS) else mapping


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
