"""What an output may not be: each constraint takes the tokens that would break it.

A constraint filters. It gives tokens the probability zero and leaves that of the others as it is,
so that the score of an output is the model's, whatever it is constrained to. (Ids forbidden
everywhere are no constraint in this sense: they leave the vocabulary, see ``log_probabilities``.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from seq2seq.search.limits import FREE, Bounds


class Constraint(Protocol):
    """Writes −inf into ``step`` where a token may not come next."""

    def __call__(self, step: Tensor, tokens: Tensor, bounds: Bounds) -> None:
        """Filter log-probabilities.

        Args:
            step: ``[sentences, width, vocabulary]`` log-probabilities of the next token.
            tokens: ``[sentences, width, 1 + length]``, the hypotheses so far, bos first.
            bounds: what the sentences have to keep to.
        """
        ...


@dataclass(frozen=True)
class Ends:
    """No end before the least length, nothing but the end at the greatest."""

    eos_id: int

    def __call__(self, step: Tensor, tokens: Tensor, bounds: Bounds) -> None:
        """See the base class."""
        length = tokens.size(2) - 1
        early = (bounds.minimum > length).nonzero().squeeze(-1)
        if early.numel():
            step[early, :, self.eos_id] = -torch.inf
        full = (bounds.maximum <= length).nonzero().squeeze(-1)
        if full.numel():
            end = step[full, :, self.eos_id]
            step[full] = -torch.inf
            step[full, :, self.eos_id] = end


@dataclass(frozen=True)
class NoRepeatedNgram:
    """No ``size`` tokens in a row twice (Paulus et al. 2018)."""

    size: int

    def __call__(self, step: Tensor, tokens: Tensor, bounds: Bounds) -> None:
        """See the base class."""
        tokens = tokens[:, :, 1:]
        if tokens.size(2) < self.size:
            return
        ngrams = tokens.unfold(2, self.size, 1)  # [sentences, width, number, size]
        last = tokens[:, :, tokens.size(2) - self.size + 1 :]
        again = (ngrams[..., :-1] == last[:, :, None]).all(-1)
        sentence, place, number = again.nonzero(as_tuple=True)
        step[sentence, place, ngrams[sentence, place, number, -1]] = -torch.inf


@dataclass(frozen=True)
class ForbiddenSequences:
    """None of these sequences of ids, of two or more each."""

    sequences: Sequence[Sequence[int]]

    def __call__(self, step: Tensor, tokens: Tensor, bounds: Bounds) -> None:
        """See the base class."""
        for *first, last in self.sequences:
            if len(first) < tokens.size(2):
                begun = tokens[:, :, -len(first) :] == tokens.new_tensor(first)
                sentence, place = begun.all(-1).nonzero(as_tuple=True)
                step[sentence, place, last] = -torch.inf


class Prefix:
    """Where a prefix is given nothing but it, with probability one: scores are given the prefix."""

    def __call__(self, step: Tensor, tokens: Tensor, bounds: Bounds) -> None:
        """See the base class."""
        length = tokens.size(2) - 1
        if length >= bounds.prefix.size(1):
            return
        given = bounds.prefix[:, length]
        if int(given.max()) >= step.size(2):
            raise ValueError(
                f"a prefix holds the id {int(given.max())}, the model has {step.size(2)}"
            )
        sentences = (given != FREE).nonzero().squeeze(-1)
        step[sentences] = -torch.inf
        step[sentences, :, given[sentences]] = 0.0
