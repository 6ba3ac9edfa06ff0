"""What all searches share: their options, and how they are called."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Self, TypedDict

import torch
from torch import Tensor

from seq2seq.models import EncoderDecoder
from seq2seq.models.attending import evaluating
from seq2seq.nn.linear import fixed_weights
from seq2seq.search.constraints import (
    Constraint,
    Ends,
    ForbiddenSequences,
    NoRepeatedNgram,
    Prefix,
)
from seq2seq.search.hypothesis import Hypothesis
from seq2seq.search.limits import Bounds, LengthLimit
from seq2seq.search.vocabulary import log_probabilities


class Options(TypedDict, total=False):
    """The options of every search; see :class:`Search`."""

    min_length: int
    min_length_ratio: float
    max_length: int | None
    max_length_ratio: float
    max_length_offset: int
    no_repeat_ngram: int
    forbid: Sequence[int | str | Sequence[int]]
    replace_unknown: bool
    pad_id: int
    bos_id: int
    eos_id: int


class Search(ABC):
    """Finds outputs for a batch. Each depends on its own sentence, not on its batch.

    Args:
        min_length: at least so many tokens.
        min_length_ratio: at least ``ratio · source_length`` tokens.
        max_length: at most so many tokens; None: no limit but the next.
        max_length_ratio: at most ``ratio · source_length + offset`` tokens (without eos).
        max_length_offset: the offset of that limit.
        no_repeat_ngram: no so many tokens in a row twice; 0: as they come.
        forbid: what is never emitted, besides padding and bos: ids, sequences of ids, and texts,
            which ``with_vocabulary`` makes ids of.
        replace_unknown: whoever makes text of a hypothesis is to put, for each unknown word, the
            source word that it attends to most.
        pad_id: the id of padding.
        bos_id: the id that begins a target.
        eos_id: the id that ends it.
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
        self.replace_unknown = replace_unknown
        self.pad_id, self.bos_id, self.eos_id = pad_id, bos_id, eos_id
        if isinstance(forbid, str):
            raise ValueError(f"forbid={forbid!r} has to be a list: forbid=[{forbid!r}]")
        self.forbid = [item if isinstance(item, int | str) else list(item) for item in forbid]
        self._check_forbidden()

    def with_vocabulary(self, ids: Callable[[str], Sequence[int]]) -> Self:
        """The same search, with the texts of ``forbid`` as the ids that a vocabulary writes them.

        Raises:
            ValueError: if a text has no ids.
        """
        found = copy.copy(self)
        found.forbid = [list(ids(item)) if isinstance(item, str) else item for item in self.forbid]
        if [] in found.forbid:
            text = self.forbid[found.forbid.index([])]
            raise ValueError(f"forbid: the vocabulary writes {text!r} with no ids; leave it out")
        found._check_forbidden()
        return found

    def _check_forbidden(self) -> None:
        if [] in self.forbid:
            raise ValueError(f"forbid={self.forbid} holds an empty sequence; leave it out")
        if any(item in (self.eos_id, [self.eos_id]) for item in self.forbid):
            raise ValueError(
                f"forbid={self.forbid} forbids the end of the sentence; use min_length"
            )

    def __call__(
        self,
        model: EncoderDecoder,
        source: Tensor,
        source_lengths: Tensor,
        *,
        prefixes: Sequence[Sequence[int]] | None = None,
        return_attention: bool = False,
    ) -> list[list[Hypothesis]]:
        """Search.

        Args:
            model: left in the mode (training or evaluation) in which it came.
            source: ``[batch, source_length]`` ids.
            source_lengths: ``[batch]``.
            prefixes: for each sentence the ids that its output has to begin with.
            return_attention: whether hypotheses come with their attention.

        Returns:
            the hypotheses of each sentence, best first, in the order of the batch.

        Raises:
            ValueError: if ``forbid`` holds texts, or prefixes are not as many as sentences, or hold
                padding, bos or eos.
        """
        if texts := [item for item in self.forbid if isinstance(item, str)]:
            raise ValueError(
                f"forbid={texts} is text, and a search knows ids only: "
                "search.with_vocabulary(encode) makes ids of it"
            )
        special = {self.pad_id, self.bos_id, self.eos_id}
        for row, prefix in enumerate(prefixes or ()):
            if wrong := [token for token in prefix if token in special or token < 0]:
                raise ValueError(f"the prefix of sentence {row} holds the id {wrong[0]}; remove it")
        if not source.size(0):
            return []
        with evaluating(model), fixed_weights():
            bounds = self.limit.bounds(model, source_lengths, prefixes)
            return self.search(model, source, source_lengths, bounds, return_attention)

    @abstractmethod
    def search(
        self,
        model: EncoderDecoder,
        source: Tensor,
        source_lengths: Tensor,
        bounds: Bounds,
        attend: bool,
    ) -> list[list[Hypothesis]]:
        """Search for at least one sentence, ``attend`` meaning ``return_attention``."""

    def distribution(self, model: EncoderDecoder, device: torch.device) -> Distribution:
        """What the search reads of the model's logits."""
        ids = [self.pad_id, self.bos_id]
        sequences = []
        for item in self.forbid:
            sequence: Any = item if isinstance(item, list) else [item]
            if len(sequence) == 1:
                ids.extend(sequence)
            else:
                sequences.append(sequence)
        constraints: list[Constraint] = []
        if sequences:
            constraints.append(ForbiddenSequences(sequences))
        if self.no_repeat_ngram:
            constraints.append(NoRepeatedNgram(self.no_repeat_ngram))
        constraints += [Ends(self.eos_id), Prefix()]
        largest = max([*ids, *(token for sequence in sequences for token in sequence)])
        return Distribution(model, torch.tensor(ids, device=device), constraints, largest)


class Distribution:
    """The next token's log-probabilities, over what may be emitted, under all constraints."""

    def __init__(
        self,
        model: EncoderDecoder,
        forbidden: Tensor,
        constraints: Sequence[Constraint],
        largest: int,
    ) -> None:
        self.model, self.forbidden, self.constraints = model, forbidden, constraints
        self.largest = largest

    def __call__(self, logits: Tensor, tokens: Tensor, bounds: Bounds) -> Tensor:
        """``[sentences · width, vocabulary]`` → ``[sentences, width, vocabulary]``.

        ``tokens`` ``[sentences, width, 1 + length]`` are the hypotheses so far.
        """
        if self.largest >= logits.size(-1):
            raise ValueError(
                f"forbid: there is no id {self.largest}, the model has {logits.size(-1)}"
            )
        step = log_probabilities(logits, self.model.output_mapping, self.forbidden)
        step = step.unflatten(0, tokens.shape[:2])
        for constraint in self.constraints:
            constraint(step, tokens, bounds)
        return step
