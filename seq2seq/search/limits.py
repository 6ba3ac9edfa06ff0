"""How long an output has to be and may get, and how it has to begin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seq2seq.models import EncoderDecoder

FREE = -1  # in place of an id where a prefix has ended


@dataclass(frozen=True)
class Bounds:
    """What an output of each sentence has to keep to.

    Attributes:
        minimum: ``[sentences]``, fewest tokens, eos not counted.
        maximum: ``[sentences]``, most tokens, eos not counted.
        prefix: ``[sentences, longest]`` ids that it begins with, −1 where it is free.
    """

    minimum: Tensor
    maximum: Tensor
    prefix: Tensor

    @property
    def prefix_length(self) -> Tensor:
        """``[sentences]`` tokens that are given."""
        return (self.prefix != FREE).sum(1)

    def keep(self, going: Tensor) -> Bounds:
        """Go on with these sentences ``[n]``."""
        return Bounds(self.minimum[going], self.maximum[going], self.prefix[going])


@dataclass(frozen=True)
class LengthLimit:
    """At least and at most so many tokens.

    The most are ``⌊max_ratio · source_length + offset⌋`` and ``maximum``, the smaller of them. The
    least are ``minimum`` and ``⌊min_ratio · source_length⌋``, the larger of them, but no more than
    the most.

    Eos is not counted in an output, but it is in a source. A prefix counts, and is kept even
    where it is longer than the limit. At the limit only the end of the sentence is possible, and
    its probability counts.
    """

    min_ratio: float = 0.0
    minimum: int = 0
    max_ratio: float = 2.0
    offset: int = 10
    maximum: int | None = None

    def __post_init__(self) -> None:
        if self.minimum < 0 or self.min_ratio < 0:
            raise ValueError(
                f"min_length={self.minimum} and min_length_ratio={self.min_ratio} have to be at "
                "least 0"
            )
        if self.maximum is not None and self.maximum < self.minimum:
            raise ValueError(
                f"max_length={self.maximum} is below min_length={self.minimum}; change either"
            )

    def bounds(
        self,
        model: EncoderDecoder,
        source_lengths: Tensor,
        prefixes: Sequence[Sequence[int]] | None = None,
    ) -> Bounds:
        """``[sentences]`` lengths of sources and a prefix for each → what each keeps to.

        Raises:
            ValueError: if there are not as many prefixes as sentences, or one is longer than the
                model can number.
        """
        prefix = _padded(prefixes, source_lengths)
        given = (prefix != FREE).sum(1)
        exact = source_lengths.double()
        most = (exact * self.max_ratio + self.offset).long().clamp(min=0)
        if self.maximum is not None:
            most = most.clamp(max=self.maximum)
        most = torch.maximum(most, given)
        if model.max_length is not None:
            longest = int(given.max())
            if longest > model.max_length - 1:
                raise ValueError(
                    f"a prefix of {longest} tokens is longer than the model's max_length="
                    f"{model.max_length} allows; shorten it"
                )
            most = most.clamp(max=model.max_length - 1)
        least = (exact * self.min_ratio).long().clamp(min=self.minimum)
        return Bounds(torch.minimum(least, most), most, prefix)


def _padded(prefixes: Sequence[Sequence[int]] | None, source_lengths: Tensor) -> Tensor:
    sentences = source_lengths.size(0)
    if prefixes is None:
        return source_lengths.new_empty(sentences, 0)
    if len(prefixes) != sentences:
        raise ValueError(f"{len(prefixes)} prefixes were given for {sentences} sentences")
    rows = [torch.tensor(prefix, dtype=torch.long) for prefix in prefixes]
    padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=FREE)
    return padded.to(source_lengths.device)
