"""The base class of all models with attention, for any task."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from seq2seq.mappings import Mapping
from seq2seq.nn.choice import choose

#: Values of the option ``strength``, and whether γ of attention is relative.
STRENGTHS = {"absolute": False, "relative": True}


class AttendingModel(nn.Module, ABC):
    """The base class of models whose attention mappings can be chosen.

    Attributes:
        max_length: largest number of positions of a sequence; ``None`` without a limit.
    """

    max_length: int | None = None

    @abstractmethod
    def attention_mappings(self) -> dict[str, list[Mapping]]:
        """Return the mappings of each kind of attention, one per layer.

        Every model has the kind ``cross``, from one text to the other. Some models have more kinds,
        such as ``encoder`` and ``decoder`` (self-attention).
        """

    def parts(self) -> dict[str, list[nn.Module]]:
        """Return the modules that users can freeze, by name; parts may share modules."""
        return {
            name: [child]
            for name, child in self.named_children()
            if not isinstance(child, Mapping) and any(True for _ in child.parameters())
        }


def with_strength(mapping: Mapping, strength: str) -> Mapping:
    """Return ``mapping`` with γ in the unit that ``strength`` names.

    Args:
        mapping: scores → weights of an attention.
        strength: ``absolute``: γ as in the literature. ``relative``: γ in units of the strength at
            which the mapping is comparable to softmax (:meth:`seq2seq.mappings.Mapping.relative`).

    Raises:
        ValueError: if ``strength`` has another value.
    """
    return mapping.relative() if choose("strength", strength, STRENGTHS) else mapping


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Disable gradients and dropout, and restore the mode of ``model`` afterwards."""
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(training)
