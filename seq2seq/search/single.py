"""Searches whose hypotheses never meet: each goes on from itself, a token at a time."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from seq2seq.models import EncoderDecoder, State
from seq2seq.search.attention_record import AttentionRecord
from seq2seq.search.hypothesis import Hypothesis
from seq2seq.search.limits import Bounds
from seq2seq.search.search import Search


@dataclass
class Paths:
    """Hypotheses of the sentences that still go on, ``width`` each.

    Attributes:
        state: the decoder's, ``sentences · width`` rows.
        rows: ``[sentences]``, their places in the batch given.
        bounds: what they have to keep to.
        tokens: ``[sentences, width, 1 + length]``, bos first, eos wherever one has ended.
        total: ``[sentences, width]``, log-probability.
        ended: ``[sentences, width]`` bool.
        record: of the attention, if asked for.
    """

    state: State
    rows: Tensor
    bounds: Bounds
    tokens: Tensor
    total: Tensor
    ended: Tensor
    record: AttentionRecord | None

    def go_on(self, token: Tensor, log_probability: Tensor, eos_id: int) -> None:
        """Put ``token`` ``[sentences, width]`` of that log-probability after each."""
        # Where a sparse output mapping leaves nothing possible, a hypothesis ends without hope.
        end = self.ended | (token == eos_id) | (log_probability == -torch.inf)
        self.total = self.total + log_probability.masked_fill(self.ended, 0.0)
        self.tokens = torch.cat([self.tokens, token.masked_fill(end, eos_id)[..., None]], dim=2)
        self.ended = end

    def keep(self, going: Tensor) -> None:
        """Go on with these sentences ``[n]``."""
        width = self.tokens.size(1)
        inner = torch.arange(width, device=going.device)
        self.state, self.bounds = self.state.keep(going), self.bounds.keep(going)
        self.rows, self.tokens = self.rows[going], self.tokens[going]
        self.total, self.ended = self.total[going], self.ended[going]
        if self.record is not None:
            self.record.reorder((going[:, None] * width + inner).flatten())


class Single(Search):
    """Takes one token at every position, until it is eos.

    ``width`` hypotheses of each sentence go their own ways.
    """

    width = 1

    @abstractmethod
    def choose(self, step: Tensor, length: int, keys: Tensor) -> Tensor:
        """Take the next token.

        Args:
            step: ``[sentences, width, vocabulary]`` log-probabilities.
            length: tokens before this one.
            keys: what ``prepare`` gave for these sentences.

        Returns:
            ``[sentences, width]`` tokens.
        """

    def prepare(self, source: Tensor, source_lengths: Tensor) -> Tensor:
        """What ``choose`` has to know of each sentence, ``[sentences, …]``."""
        return source_lengths

    def search(
        self,
        model: EncoderDecoder,
        source: Tensor,
        source_lengths: Tensor,
        bounds: Bounds,
        attend: bool,
    ) -> list[list[Hypothesis]]:
        """See the base class."""
        distribution = self.distribution(model, source.device)
        keys = self.prepare(source, source_lengths)
        paths = self._start(model, source, source_lengths, bounds, attend)
        found: list[list[Hypothesis]] = [[] for _ in range(source.size(0))]
        lengths = source_lengths.tolist()
        while paths.rows.numel():
            last = paths.tokens[:, :, -1].flatten()
            logits, paths.state, attention = model.step(paths.state, last, return_attention=attend)
            if paths.record is not None and attention is not None:
                paths.record.add(attention)
            step = distribution(logits, paths.tokens, paths.bounds)
            token = self.choose(step, paths.tokens.size(2) - 1, keys[paths.rows])
            log_probability = step.gather(2, token[..., None]).squeeze(2)
            paths.go_on(token, log_probability, self.eos_id)
            done = paths.ended.all(1)
            if done.any():
                self._finish(paths, done.nonzero().squeeze(-1), lengths, found)
                paths.keep((~done).nonzero().squeeze(-1))
        return found

    def _start(
        self,
        model: EncoderDecoder,
        source: Tensor,
        source_lengths: Tensor,
        bounds: Bounds,
        attend: bool,
    ) -> Paths:
        shape = (source.size(0), self.width)
        state = model.start(source, source_lengths)
        return Paths(
            state if self.width == 1 else state.widen(self.width),
            torch.arange(source.size(0), device=source.device),
            bounds,
            tokens=source.new_full((*shape, 1), self.bos_id),
            total=torch.zeros(shape, device=source.device),
            ended=torch.zeros(shape, dtype=torch.bool, device=source.device),
            record=AttentionRecord() if attend else None,
        )

    def _finish(
        self, paths: Paths, done: Tensor, source_lengths: list[int], found: list[list[Hypothesis]]
    ) -> None:
        """Record the hypotheses of these sentences, the most probable first."""
        rows, tokens = paths.rows[done].tolist(), paths.tokens[done, :, 1:].tolist()
        for place, row, ids, totals in zip(
            done.tolist(), rows, tokens, paths.total[done].tolist(), strict=True
        ):
            for number, (sequence, total) in enumerate(zip(ids, totals, strict=True)):
                length = sequence.index(self.eos_id)
                attention = None
                if paths.record is not None and paths.record.rows is not None:
                    steps = paths.record.rows[place * self.width + number, : length + 1].tolist()
                    attention = paths.record.read(steps, source_lengths[row])
                found[row].append(Hypothesis(sequence[:length], total, total, attention))
            found[row].sort(key=lambda hypothesis: -hypothesis.score)
