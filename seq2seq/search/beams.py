"""The state of a beam search between two steps, and the candidates for the next one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from seq2seq.models import State
from seq2seq.search.hypothesis import AttentionRecord
from seq2seq.search.limits import Bounds

PIECE = 64  # entries of a piece of a row


class Candidates(NamedTuple):
    """Hypotheses with one more token, ``[sentences, groups, number]`` each, best first.

    - ``merit``: what they are sorted by. It is ``total`` minus the cost of diversity.
    - ``total``: the log-probability.
    - ``parent``: the index, in its sentence, of the hypothesis that the candidate continues.
    - ``token``: the token that it adds.
    """

    merit: Tensor
    total: Tensor
    parent: Tensor
    token: Tensor


def largest(x: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """Return the values and indices of ``x.topk(number)`` for ``x`` ``[rows, length]``.

    On a CPU this takes a third of the time. Each row is divided into pieces. The ``number`` pieces
    with the largest maxima contain the ``number`` largest entries, so only they are searched.
    """
    pieces = x.size(1) // PIECE
    if x.device.type != "cpu" or pieces < 4 * number:
        top = x.topk(number, dim=1)
        return top.values, top.indices
    parts = x[:, : pieces * PIECE].unflatten(1, (pieces, PIECE))
    chosen = parts.amax(2).topk(number, dim=1, sorted=False).indices
    inside = torch.arange(PIECE, device=x.device)
    places = (chosen[:, :, None] * PIECE + inside).flatten(1)
    rest = torch.arange(pieces * PIECE, x.size(1), device=x.device).expand(x.size(0), -1)
    places = torch.cat([places, rest], dim=1)
    top = x.gather(1, places).topk(number, dim=1)
    return top.values, places.gather(1, top.indices)


def best_candidates(totals: Tensor, costs: Tensor | None, number: int) -> Candidates:
    """Return the ``number`` best candidates of each sentence, as one group.

    Args:
        totals: ``[sentences, width, vocabulary]`` log-probabilities.
        costs: costs of the tokens, broadcastable to ``totals``, that lower their merit; ``None``
            for no costs.
        number: how many to return. If fewer exist, the others have the log-probability −inf.
    """
    vocabulary = totals.size(2)
    merits = totals if costs is None else totals - costs
    merit, flat = largest(merits.flatten(1), min(number, merits[0].numel()))
    total = merit if costs is None else totals.flatten(1).gather(1, flat)
    columns = [merit, total, flat // vocabulary, flat % vocabulary]
    if missing := number - merit.size(1):
        fill = (-math.inf, -math.inf, 0, 0)
        columns = [
            F.pad(column, (0, missing), value=value)
            for column, value in zip(columns, fill, strict=True)
        ]
    return Candidates(*(column[:, None] for column in columns))


class Ended(NamedTuple):
    """A hypothesis that has ended; ``rows`` are its rows in the ``AttentionRecord``."""

    tokens: list[int]
    score: float
    total: float
    rows: list[int]


@dataclass
class Beams:
    """The sentences that are still searched, with ``width`` live hypotheses each.

    The width is 1 before the first token (the empty hypothesis), and then ``groups · size``. The
    hypotheses of a group are consecutive.

    Attributes:
        state: the decoder's state, with ``sentences · width`` rows.
        rows: ``[sentences]``, their indices in the batch.
        bounds: their limits of length and their prefixes.
        total: ``[sentences, width]``, log-probabilities; −inf where a place is empty.
        tokens: ``[sentences, width, 1 + length]``, bos first.
        best: ``[sentences, groups, size]``, scores of the finished hypotheses, best first; −inf
            where there are fewer.
        lost: ``[sentences]``, an upper bound on the scores that dropped hypotheses could have
            reached.
        record: the attention of all steps; ``None`` unless requested.
        coverage: ``[sentences · width, source_length]``, the sum of the attention so far; ``None``
            without a coverage penalty.
    """

    state: State
    rows: Tensor
    bounds: Bounds
    total: Tensor
    tokens: Tensor
    best: Tensor
    lost: Tensor
    record: AttentionRecord | None
    coverage: Tensor | None

    @property
    def width(self) -> int:
        """The number of live hypotheses per sentence."""
        return self.total.size(1)

    @property
    def places(self) -> Tensor:
        """The number of places that finished hypotheses leave, ``[sentences, groups, 1]``."""
        return self.best.size(2) - self.best.isfinite().sum(2, keepdim=True)

    def grouped(self, tensor: Tensor) -> Tensor:
        """Reshape ``[sentences, width, …]`` to ``[sentences, groups, width of a group, …]``."""
        groups = self.best.size(1)
        if self.width == 1:
            return tensor[:, None].expand(-1, groups, *tensor.shape[1:])
        return tensor.unflatten(1, (groups, -1))

    def go_on(self, total: Tensor, parent: Tensor, token: Tensor) -> None:
        """Replace the hypotheses by continuations of them.

        Args:
            total: log-probabilities of the new hypotheses.
            parent: the hypothesis of the sentence that each one continues.
            token: the token that each one adds.

        All are ``[sentences, width]``, where the width may differ from the present one.
        """
        before, width = self.width, total.size(1)
        first = torch.arange(total.size(0), device=total.device)[:, None] * before
        rows = (parent + first).flatten()
        if before == width > 1:
            self.state = self.state.reorder(rows)
        elif before < width:
            self.state = self.state.widen(width)
        history = self.tokens.flatten(0, 1)[rows].unflatten(0, total.shape)
        self.tokens = torch.cat([history, token[:, :, None]], dim=2)
        self.total = total
        if self.record is not None:
            self.record.reorder(rows)
        if self.coverage is not None:
            self.coverage = self.coverage[rows]

    def keep(self, going: Tensor) -> None:
        """Keep the sentences with the indices ``[n]``, and drop the others."""
        inner = torch.arange(self.width, device=going.device)
        rows = (going[:, None] * self.width + inner).flatten()
        self.state = self.state.keep(going)
        self.rows, self.bounds = self.rows[going], self.bounds.keep(going)
        self.total, self.tokens = self.total[going], self.tokens[going]
        self.best, self.lost = self.best[going], self.lost[going]
        if self.record is not None:
            self.record.reorder(rows)
        if self.coverage is not None:
            self.coverage = self.coverage[rows]
