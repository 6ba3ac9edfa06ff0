"""Greedy search: the most probable token, one after another."""

from collections.abc import Sequence

import torch
from torch import Tensor

from seq2seq.models import EncoderDecoder
from seq2seq.search.hypothesis import Hypothesis
from seq2seq.search.limits import LengthLimit, searching
from seq2seq.search.vocabulary import log_probabilities


class Greedy:
    """Takes the most probable token at every position, until it is eos.

    Args:
        max_length_ratio: at most ``ratio · source_length + offset`` tokens (without eos).
        max_length_offset: the offset of that limit.
        forbid: ids never emitted, besides padding and bos (for example ``[1]``, the unknown word).
        pad_id: the id of padding.
        bos_id: the id that begins a target.
        eos_id: the id that ends it.
    """

    def __init__(
        self,
        max_length_ratio: float = 2.0,
        max_length_offset: int = 10,
        *,
        forbid: Sequence[int] = (),
        pad_id: int = 0,
        bos_id: int = 2,
        eos_id: int = 3,
    ) -> None:
        self.limit = LengthLimit(max_length_ratio, max_length_offset)
        self.forbidden = (pad_id, bos_id, *forbid)
        self.bos_id, self.eos_id = bos_id, eos_id

    def __call__(
        self,
        model: EncoderDecoder,
        source: Tensor,
        source_lengths: Tensor,
        *,
        return_attention: bool = False,
    ) -> list[list[Hypothesis]]:
        """Translate ``source`` ``[batch, source_length]``; one hypothesis a sentence."""
        if not source.size(0):
            return []
        with searching(model):
            return self._search(model, source, source_lengths, return_attention)

    def _search(
        self, model: EncoderDecoder, source: Tensor, source_lengths: Tensor, attend: bool
    ) -> list[list[Hypothesis]]:
        state = model.start(source, source_lengths)
        limit = self.limit(model, source_lengths)
        rows = torch.arange(source.size(0), device=source.device)  # sentences still going on
        token = torch.full_like(rows, self.bos_id)
        total = torch.zeros(rows.shape, device=source.device)
        tokens: list[Tensor] = []
        attention: list[Tensor] = []
        forbidden = rows.new_tensor(self.forbidden)
        while rows.numel():
            logits, state, weights = model.step(state, token, return_attention=attend)
            step = log_probabilities(logits, model.output_mapping, forbidden)
            token = step.argmax(-1)
            token = token.masked_fill(limit[rows] == len(tokens), self.eos_id)
            total[rows] += step.gather(-1, token[:, None]).squeeze(-1)
            tokens.append(torch.full_like(limit, self.eos_id).index_copy_(0, rows, token))
            if weights is not None:
                full = weights.new_zeros(source.size(0), *weights.shape[1:])
                attention.append(full.index_copy_(0, rows, weights))
            going = (token != self.eos_id).nonzero().squeeze(-1)
            if going.numel() < rows.numel():
                rows, token, state = rows[going], token[going], state.keep(going)
        return self._hypotheses(torch.stack(tokens, dim=1), total, attention, source_lengths)

    def _hypotheses(
        self, tokens: Tensor, total: Tensor, attention: list[Tensor], source_lengths: Tensor
    ) -> list[list[Hypothesis]]:
        """``tokens`` ``[batch, length]``, filled up with eos."""
        weights = torch.cat(attention, dim=3) if attention else None
        lengths = (tokens != self.eos_id).sum(-1).tolist()
        found = []
        for row, (ids, length) in enumerate(zip(tokens.tolist(), lengths, strict=True)):
            view = None
            if weights is not None:
                view = weights[row, :, :, : length + 1, : int(source_lengths[row])].clone()
            score = float(total[row])
            found.append([Hypothesis(ids[:length], score, score, view)])
        return found
