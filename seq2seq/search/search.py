"""The base class of all searches: their common options, and how to call them."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Self, TypedDict

import torch
from torch import Tensor

from seq2seq.models.attending import evaluating
from seq2seq.models.encoder_decoder import Decodable
from seq2seq.nn.linear import fixed_weights
from seq2seq.search.distribution import (
    Constraint,
    Distribution,
    Ends,
    ForbiddenSequences,
    NoRepeatedNgram,
    Prefix,
)
from seq2seq.search.hypothesis import Hypothesis
from seq2seq.search.limits import Bounds, LengthLimit


class Options(TypedDict, total=False):
    """The options that every search accepts; see :class:`Search`."""

    min_length: int
    min_length_ratio: float
    max_length: int | None
    max_length_ratio: float
    max_length_offset: int
    no_repeat_ngram: int
    forbid: Sequence[int | str | Sequence[int]]
    constraints: Sequence[Constraint]
    replace_unknown: bool
    pad_id: int
    bos_id: int
    eos_id: int


class Search(ABC):
    """The base class of searches, which find outputs for a batch of sentences.

    The result for a sentence depends only on that sentence, not on the rest of the batch.

    All lengths are numbers of tokens without eos (``LengthLimit``).

    Args:
        min_length: minimum length.
        min_length_ratio: minimum length as a multiple of ``source_length``.
        max_length: maximum length; ``None``: only the next limit applies.
        max_length_ratio: sets a second maximum, ``ratio · source_length + offset``.
        max_length_offset: the offset in that maximum.
        no_repeat_ngram: forbid n-grams of this size from occurring twice; 0 disables the check.
        forbid: tokens that the search never emits, besides padding and bos. An item is an id, a
            sequence of ids, or a text, which ``with_vocabulary`` converts to ids.
        constraints: further constraints on outputs, for example of a class of your own.
        replace_unknown: replace each unknown token by the source word with the largest attention
            weight. The search only stores this option for the code that turns hypotheses into text.
        pad_id: the id of padding.
        bos_id: the id at the beginning of each target.
        eos_id: the id at the end of each target.

    Raises:
        ValueError: if an option is out of range, or ``forbid`` contains eos or an empty sequence.
    """

    def __init__(
        self,
        *,
        min_length: int = 0,
        min_length_ratio: float = 0.0,
        max_length: int | None = None,
        max_length_ratio: float = 2.0,
        max_length_offset: int = 10,
        no_repeat_ngram: int = 0,
        forbid: Sequence[int | str | Sequence[int]] = (),
        constraints: Sequence[Constraint] = (),
        replace_unknown: bool = False,
        pad_id: int = 0,
        bos_id: int = 2,
        eos_id: int = 3,
    ) -> None:
        if no_repeat_ngram < 0:
            raise ValueError(f"no_repeat_ngram={no_repeat_ngram} has to be at least 0")
        self.limit = LengthLimit(
            min_length_ratio, min_length, max_length_ratio, max_length_offset, max_length
        )
        self.no_repeat_ngram = no_repeat_ngram
        self.constraints = list(constraints)
        self.replace_unknown = replace_unknown
        self.pad_id, self.bos_id, self.eos_id = pad_id, bos_id, eos_id
        if isinstance(forbid, str):
            raise ValueError(f"forbid={forbid!r} has to be a list: forbid=[{forbid!r}]")
        self.forbid = [item if isinstance(item, int | str) else list(item) for item in forbid]
        self._check_forbidden()

    def with_vocabulary(self, ids: Callable[[str], Sequence[int]]) -> Self:
        """Return a copy of this search, with the texts of ``forbid`` converted to ids.

        Args:
            ids: returns the ids of a text.

        Raises:
            ValueError: if a text has no ids.
        """
        search = copy.copy(self)
        search.forbid = [list(ids(item)) if isinstance(item, str) else item for item in self.forbid]
        if [] in search.forbid:
            text = self.forbid[search.forbid.index([])]
            raise ValueError(f"forbid: the vocabulary has no ids for {text!r}; leave it out")
        search._check_forbidden()
        return search

    def _check_forbidden(self) -> None:
        if [] in self.forbid:
            raise ValueError(f"forbid={self.forbid} contains an empty sequence; leave it out")
        if any(item in (self.eos_id, [self.eos_id]) for item in self.forbid):
            raise ValueError(
                f"forbid={self.forbid} contains {self.eos_id}, the id of eos; to make outputs "
                "longer, use min_length"
            )

    def __call__(
        self,
        model: Decodable[Any],
        source: Tensor,
        source_lengths: Tensor,
        *,
        prefixes: Sequence[Sequence[int]] | None = None,
        return_attention: bool = False,
    ) -> list[list[Hypothesis]]:
        """Search for the outputs of a batch.

        Args:
            model: its mode (training or evaluation) is the same afterwards.
            source: ``[batch, source_length]`` ids.
            source_lengths: ``[batch]``.
            prefixes: for each sentence, the ids that its output has to begin with.
            return_attention: whether the hypotheses contain their attention.

        Returns:
            the hypotheses of each sentence, best first, in the order of the batch.

        Raises:
            ValueError: if ``forbid`` contains texts, if the number of prefixes differs from the
                number of sentences, or if a prefix contains padding, bos or eos.
        """
        if texts := [item for item in self.forbid if isinstance(item, str)]:
            raise ValueError(
                f"forbid={texts} is text, but this search only knows ids; "
                "convert it with search.with_vocabulary(encode)"
            )
        special = {self.pad_id, self.bos_id, self.eos_id}
        for row, prefix in enumerate(prefixes or ()):
            if wrong := [token for token in prefix if token in special or token < 0]:
                raise ValueError(
                    f"the prefix of sentence {row} contains the id {wrong[0]}, which is negative, "
                    "padding, bos or eos; remove it"
                )
        if not source.size(0):
            return []
        with evaluating(model), fixed_weights(model.parameters()):
            bounds = self.limit.bounds(model, source_lengths, prefixes)
            return self.search(model, source, source_lengths, bounds, return_attention)

    @abstractmethod
    def search(
        self,
        model: Decodable[Any],
        source: Tensor,
        source_lengths: Tensor,
        bounds: Bounds,
        attend: bool,
    ) -> list[list[Hypothesis]]:
        """Search for the outputs of one or more sentences; ``attend`` is ``return_attention``."""

    def distribution(self, model: Decodable[Any], device: torch.device) -> Distribution:
        """Return the function that computes constrained log-probabilities from logits."""
        ids = [self.pad_id, self.bos_id]
        sequences = []
        for item in self.forbid:
            sequence: Any = item if isinstance(item, list) else [item]
            if len(sequence) == 1:
                ids.extend(sequence)
            else:
                sequences.append(sequence)
        constraints = [*self.constraints]
        if sequences:
            constraints.append(ForbiddenSequences(sequences))
        if self.no_repeat_ngram:
            constraints.append(NoRepeatedNgram(self.no_repeat_ngram))
        constraints += [Ends(self.eos_id), Prefix()]
        largest = max([*ids, *(token for sequence in sequences for token in sequence)])
        return Distribution(model, torch.tensor(ids, device=device), constraints, largest)
