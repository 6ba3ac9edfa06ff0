"""The distribution of the next token, under the constraints on outputs.

A constraint gives tokens that would violate it the probability 0, and does not change the
probabilities of the others. The score of an output is therefore the model's, with any constraints.
Ids that are forbidden everywhere are handled differently: ``log_probabilities`` removes them from
the vocabulary, and the other tokens share their probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from seq2seq.mappings import Mapping
from seq2seq.models.encoder_decoder import Decodable
from seq2seq.search.limits import FREE, Bounds


class Distribution:
    """The log-probabilities of the next token, under all constraints.

    Args:
        model: its ``output_mapping`` computes the probabilities.
        forbidden: ids that are never emitted; the other tokens share their probability.
        constraints: applied to the log-probabilities, in this order.
        largest: the largest id among the forbidden ones, checked against the vocabulary.
    """

    def __init__(
        self,
        model: Decodable[Any],
        forbidden: Tensor,
        constraints: Sequence[Constraint],
        largest: int,
    ) -> None:
        self.model, self.forbidden, self.constraints = model, forbidden, constraints
        self.largest = largest

    def __call__(self, logits: Tensor, tokens: Tensor, bounds: Bounds) -> Tensor:
        """Compute log-probabilities ``[sentences, width, vocabulary]`` of the next token.

        Args:
            logits: ``[sentences · width, vocabulary]``; this method overwrites them.
            tokens: ``[sentences, width, 1 + length]``, the hypotheses so far, bos first.
            bounds: the limits of length and the prefixes of the sentences.

        Raises:
            ValueError: if ``forbid`` contains an id outside the vocabulary.
        """
        if self.largest >= logits.size(-1):
            raise ValueError(
                f"forbid contains the id {self.largest}, but the model's vocabulary has only "
                f"{logits.size(-1)} entries; remove it"
            )
        step = log_probabilities(logits, self.model.output_mapping, self.forbidden)
        step = step.unflatten(0, tokens.shape[:2])
        for constraint in self.constraints:
            constraint(step, tokens, bounds)
        return step


def log_probabilities(logits: Tensor, mapping: Mapping, forbidden: Tensor) -> Tensor:
    """Return log-probabilities ``[…, vocabulary]``, −inf for the ``forbidden`` ids ``[n]``.

    The logits of forbidden ids become −inf before the mapping, so that the probabilities of the
    other tokens sum to 1. Tokens outside the support of a sparse mapping have −inf too. The
    function overwrites ``logits``. The result is float32 for logits in half precision, which is too
    coarse for sums over tokens.
    """
    logits.index_fill_(-1, forbidden, -torch.inf)
    scores = mapping.log_weights(logits, overwrite=True)
    # If the logits are log-probabilities, all allowed tokens may have −inf: log_softmax gives NaN.
    impossible = scores[..., forbidden[0]].isnan() if forbidden.numel() else forbidden
    if impossible.any():
        scores[impossible] = -torch.inf
    return scores


class Constraint(Protocol):
    """A function that sets the log-probability of impossible next tokens to −inf."""

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
