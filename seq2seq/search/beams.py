"""Where a beam search stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from seq2seq.models import State
from seq2seq.search.attention_record import AttentionRecord
from seq2seq.search.limits import Bounds


class Ended(NamedTuple):
    """A hypothesis that has ended; ``rows`` tell where its attention lies."""

    tokens: list[int]
    score: float
    total: float
    rows: list[int]


@dataclass
class Beams:
    """The sentences still searched, with ``width`` live hypotheses each, group after group.

    Before the first token there is one, the empty hypothesis; then there are ``groups · size``.

    Attributes:
        state: the decoder's, ``sentences · width`` rows.
        rows: ``[sentences]``, their places in the batch given.
        bounds: what they have to keep to.
        total: ``[sentences, width]``, log-probability; −inf where a place is empty.
        tokens: ``[sentences, width, 1 + length]``, bos first.
        best: ``[sentences, groups, size]``, scores of the finished ones, best first; −inf: none.
        lost: ``[sentences]``, the best score that anything dropped might have come to.
        record: of the attention, if asked for.
        coverage: ``[sentences · width, source_length]``, attention summed up, if needed.
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
        """Live hypotheses a sentence."""
        return self.total.size(1)

    @property
    def places(self) -> Tensor:
        """``[sentences, groups, 1]`` places for live hypotheses that the finished ones leave."""
        return self.best.size(2) - self.best.isfinite().sum(2, keepdim=True)

    def grouped(self, tensor: Tensor) -> Tensor:
        """``[sentences, width, …]`` → ``[sentences, groups, width of a group, …]``."""
        groups = self.best.size(1)
        if self.width == 1:
            return tensor[:, None].expand(-1, groups, *tensor.shape[1:])
        return tensor.unflatten(1, (groups, -1))

    def go_on(self, total: Tensor, parent: Tensor, token: Tensor) -> None:
        """Put ``token`` ``[sentences, width]`` after the hypotheses ``parent``; any new width."""
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
        """Go on with these sentences ``[n]``."""
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
