"""How long a translation may get, and the state a model has to be in while it is searched."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from seq2seq.models import EncoderDecoder


@dataclass(frozen=True)
class LengthLimit:
    """At most ``⌊ratio · source_length + offset⌋`` tokens, eos not counted (source's eos is).

    At the limit only the end of the sentence is possible, and its probability counts.
    """

    ratio: float = 2.0
    offset: int = 10

    def __call__(self, model: EncoderDecoder, source_lengths: Tensor) -> Tensor:
        """``[batch]`` lengths of sources → most tokens each translation may have."""
        limit = (source_lengths.double() * self.ratio + self.offset).long().clamp(min=0)
        return limit if model.max_length is None else limit.clamp(max=model.max_length - 1)


@contextmanager
def searching(model: EncoderDecoder) -> Iterator[None]:
    """No gradients, no dropout; afterwards the model is in the mode it was in."""
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(training)
