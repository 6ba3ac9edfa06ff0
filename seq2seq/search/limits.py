"""Limits of the length of outputs, and the prefixes that they have to begin with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seq2seq.models.encoder_decoder import Decodable

FREE = -1  # replaces an id after the end of a prefix


@dataclass(frozen=True)
class Bounds:
    """The limits of length and the prefix of each sentence's outputs.

    Attributes:
        minimum: ``[sentences]``, the smallest number of tokens without eos.
        maximum: ``[sentences]``, the largest number of tokens without eos.
        prefix: ``[sentences, longest]``, ids that the output begins with; −1 after their end.
    """

    minimum: Tensor
    maximum: Tensor
    prefix: Tensor

    @property
    def prefix_length(self) -> Tensor:
        """The number of tokens of each prefix, ``[sentences]``."""
        return (self.prefix != FREE).sum(1)

    def keep(self, going: Tensor) -> Bounds:
        """Return the bounds of the sentences with the indices ``[n]``."""
        return Bounds(self.minimum[going], self.maximum[going], self.prefix[going])


@dataclass(frozen=True)
class LengthLimit:
    """The limits of the length of outputs, depending on the length of the source.

    - The maximum is the smaller of ``⌊max_ratio · source_length + offset⌋`` and ``maximum``.
    - The minimum is the larger of ``⌊min_ratio · source_length⌋`` and ``minimum``, but never more
      than the maximum.

    The length of an output does not include eos; the length of a source does. A prefix is part of
    the length. A prefix longer than the maximum raises the maximum. At the maximum, only eos is
    possible, and its probability is part of the score.
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
                f"max_length={self.maximum} is below min_length={self.minimum}; change one of them"
            )

    def bounds(
        self,
        model: Decodable[Any],
        source_lengths: Tensor,
        prefixes: Sequence[Sequence[int]] | None = None,
    ) -> Bounds:
        """Return the bounds of a batch.

        Args:
            model: its ``max_length`` also limits the outputs.
            source_lengths: ``[sentences]``.
            prefixes: the prefix of each sentence; ``None`` for no prefixes.

        Raises:
            ValueError: if the number of prefixes differs from the number of sentences, or a prefix
                is longer than the model's ``max_length`` allows.
        """
        prefix = _padded(prefixes, source_lengths)
        prefix_lengths = (prefix != FREE).sum(1)
        exact = source_lengths.double()
        most = (exact * self.max_ratio + self.offset).long().clamp(min=0)
        if self.maximum is not None:
            most = most.clamp(max=self.maximum)
        most = torch.maximum(most, prefix_lengths)
        if model.max_length is not None:
            longest = int(prefix_lengths.max())
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
        raise ValueError(
            f"{len(prefixes)} prefixes for {sentences} sentences; pass one prefix per sentence"
        )
    rows = [torch.tensor(prefix, dtype=torch.long) for prefix in prefixes]
    padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=FREE)
    return padded.to(source_lengths.device)
