"""Constraints on outputs: each one rules out the next tokens that would violate it.

A constraint gives such tokens the probability 0 and does not change the probabilities of the other
tokens. The score of an output is therefore the model's, with any constraints. Ids that are
forbidden everywhere are handled differently: ``log_probabilities`` removes them from the
vocabulary, and the other tokens share their probability.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from seq2seq.search.limits import FREE, Bounds


class Constraint(Protocol):
    """A function that writes −inf into ``step`` for tokens that may not come next."""

    def __call__(self, step: Tensor, tokens: Tensor, bounds: Bounds) -> None:
        """Change the log-probabilities ``step`` in place.

        Args:
            step: ``[sentences, width, vocabulary]`` log-probabilities of the next token.
            tokens: ``[sentences, width, 1 + length]``, the hypotheses so far, bos first.
            bounds: the limits of length and the prefixes of the sentences.
        """
        ...


@dataclass(frozen=True)
class Ends:
    """The constraint against eos before the minimum length and other tokens at the maximum."""

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
    """The constraint against repeated n-grams of ``size`` tokens (Paulus et al. 2018)."""

    size: int

    def __call__(self, step: Tensor, tokens: Tensor, bounds: Bounds) -> None:
        """See the base class."""
        tokens = tokens[:, :, 1:]
        if tokens.size(2) < self.size:
            return
        ngrams = tokens.unfold(2, self.size, 1)  # [sentences, width, number, size]
        last = tokens[:, :, tokens.size(2) - self.size + 1 :]
        repeats = (ngrams[..., :-1] == last[:, :, None]).all(-1)
        sentence, place, number = repeats.nonzero(as_tuple=True)
        step[sentence, place, ngrams[sentence, place, number, -1]] = -torch.inf


@dataclass(frozen=True)
class ForbiddenSequences:
    """The constraint against some sequences of ids, of two or more ids each."""

    sequences: Sequence[Sequence[int]]

    def __call__(self, step: Tensor, tokens: Tensor, bounds: Bounds) -> None:
        """See the base class."""
        for *first, last in self.sequences:
            if len(first) < tokens.size(2):
                begun = tokens[:, :, -len(first) :] == tokens.new_tensor(first)
                sentence, place = begun.all(-1).nonzero(as_tuple=True)
                step[sentence, place, last] = -torch.inf


class Prefix:
    """The constraint that forces the tokens of a prefix, with probability 1.

    Scores are therefore conditional on the prefix: its tokens cost nothing.
    """

    def __call__(self, step: Tensor, tokens: Tensor, bounds: Bounds) -> None:
        """See the base class."""
        length = tokens.size(2) - 1
        if length >= bounds.prefix.size(1):
            return
        forced = bounds.prefix[:, length]
        if int(forced.max()) >= step.size(2):
            raise ValueError(
                f"a prefix contains the id {int(forced.max())}, but the model's vocabulary has "
                f"only {step.size(2)} entries; remove it"
            )
        sentences = (forced != FREE).nonzero().squeeze(-1)
        step[sentences] = -torch.inf
        step[sentences, :, forced[sentences]] = 0.0
