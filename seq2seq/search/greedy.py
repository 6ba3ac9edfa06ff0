"""Searches whose hypotheses are independent of each other: their base class, and greedy search."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Unpack

import torch
from torch import Tensor

from seq2seq.models.encoder_decoder import Decodable
from seq2seq.models.state import DecoderState
from seq2seq.search.hypothesis import AttentionRecord, Hypothesis
from seq2seq.search.limits import Bounds
from seq2seq.search.search import Options, Search


@dataclass
class Paths:
    """The hypotheses that have not ended yet.

    Attributes:
        state: the decoder's state, with one row per hypothesis.
        rows: ``[hypotheses]``, their indices among all hypotheses of the batch.
        bounds: their limits of length and their prefixes.
        tokens: ``[hypotheses, 1 + length]``, bos first.
        total: ``[hypotheses]``, log-probabilities.
        record: the attention of all steps; ``None`` unless requested.
    """

    state: DecoderState
    rows: Tensor
    bounds: Bounds
    tokens: Tensor
    total: Tensor
    record: AttentionRecord | None

    def keep(self, going: Tensor) -> None:
        """Keep the hypotheses with the indices ``[n]``, and drop the others."""
        self.state, self.bounds = self.state.keep(going), self.bounds.keep(going)
        self.rows, self.tokens, self.total = self.rows[going], self.tokens[going], self.total[going]
        if self.record is not None:
            self.record.reorder(going)


class Single(Search):
    """A search that takes one token at every position, up to eos.

    Each sentence has ``width`` hypotheses, which are independent of each other.
    """

    width = 1

    @abstractmethod
    def choose(self, step: Tensor, length: int, keys: Tensor) -> Tensor:
        """Choose the next tokens ``[hypotheses]``.

        Args:
            step: ``[hypotheses, vocabulary]`` log-probabilities.
            length: number of tokens before this one.
            keys: the values that ``prepare`` returned for these hypotheses.
        """

    def prepare(self, source: Tensor, source_lengths: Tensor) -> Tensor:
        """Return the values that ``choose`` needs, ``[sentences · width]``."""
        return source_lengths

    def search(
        self,
        model: Decodable[Any],
        source: Tensor,
        source_lengths: Tensor,
        bounds: Bounds,
        attend: bool,
    ) -> list[list[Hypothesis]]:
        """See the base class."""
        distribution = self.distribution(model, source.device)
        keys = self.prepare(source, source_lengths)
        paths = self._start(model, source, source_lengths, bounds, attend)
        hypotheses: list[list[Hypothesis]] = [[] for _ in range(source.size(0))]
        lengths = source_lengths.tolist()
        while paths.rows.numel():
            last = paths.tokens[:, -1]
            logits, paths.state, attention = model.step(paths.state, last, return_attention=attend)
            if paths.record is not None and attention is not None:
                paths.record.add(attention)
            step = distribution(logits, paths.tokens[:, None], paths.bounds).squeeze(1)
            token = self.choose(step, paths.tokens.size(1) - 1, keys[paths.rows])
            log_probability = step.gather(1, token[:, None])
            paths.total = paths.total + log_probability.squeeze(1)
            # A sparse output mapping can rule out every token: end there, with score −inf.
            end = (token == self.eos_id) | (paths.total == -torch.inf)
            if end.any():
                self._finish(paths, end.nonzero().squeeze(-1), lengths, hypotheses)
            paths.tokens = torch.cat([paths.tokens, token[:, None]], dim=1)
            if end.any():
                paths.keep((~end).nonzero().squeeze(-1))
        return [sorted(sentence, key=lambda h: -h.score) for sentence in hypotheses]

    def _start(
        self,
        model: Decodable[Any],
        source: Tensor,
        source_lengths: Tensor,
        bounds: Bounds,
        attend: bool,
    ) -> Paths:
        state = model.start(source, source_lengths)
        rows = torch.arange(source.size(0) * self.width, device=source.device)
        if self.width > 1:
            sentences = rows // self.width
            state, bounds = state.select(sentences), bounds.keep(sentences)
        return Paths(
            state,
            rows,
            bounds,
            tokens=rows.new_full((rows.numel(), 1), self.bos_id),
            total=torch.zeros(rows.numel(), device=source.device),
            record=AttentionRecord() if attend else None,
        )

    def _finish(
        self,
        paths: Paths,
        done: Tensor,
        source_lengths: list[int],
        hypotheses: list[list[Hypothesis]],
    ) -> None:
        """Append the hypotheses with the indices ``done`` to those of their sentences."""
        columns = (paths.rows[done], paths.tokens[done, 1:], paths.total[done], done)
        for row, tokens, total, place in zip(*(c.tolist() for c in columns), strict=True):
            sentence = row // self.width
            attention = None
            if paths.record is not None and paths.record.rows is not None:
                steps = paths.record.rows[place].tolist()
                attention = paths.record.read(steps, source_lengths[sentence])
            hypotheses[sentence].append(Hypothesis(tokens, total, total, attention))


class Greedy(Single):
    """Greedy search: take the most probable token at every position, up to eos.

    Args:
        options: the options of every search, see ``Search``.
    """

    def __init__(self, **options: Unpack[Options]) -> None:
        super().__init__(**options)

    def choose(self, step: Tensor, length: int, keys: Tensor) -> Tensor:
        """See the base class."""
        if step.device.type == "cpu":  # NumPy takes a third of PyTorch's time
            return torch.from_numpy(step.numpy().argmax(-1))
        return step.argmax(-1)
