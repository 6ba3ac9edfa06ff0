"""Batched beam search."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seq2seq.models import EncoderDecoder, State
from seq2seq.search.hypothesis import Hypothesis
from seq2seq.search.length_penalty import LengthPenalty
from seq2seq.search.limits import LengthLimit, searching
from seq2seq.search.vocabulary import log_probabilities

IMPOSSIBLE = -1e9  # an end forced by the length limit that has probability zero: finite, but last


@dataclass
class Beams:
    """The sentences still searched: each has ``size`` places for live hypotheses, best first.

    Attributes:
        state: the decoder's, ``sentences · size`` rows.
        rows: ``[sentences]``, their places in the batch given.
        limit: ``[sentences]``, the most tokens each may get.
        total: ``[sentences, size]``, log-probability; −inf where a place is empty.
        tokens: ``[sentences, size, length]``, bos first.
        best: ``[sentences, size]``, scores of the finished ones, best first; −inf: none yet.
        attention: ``[sentences · size, layer, head, length, source_length]``, if asked for.
    """

    state: State
    rows: Tensor
    limit: Tensor
    total: Tensor
    tokens: Tensor
    best: Tensor
    attention: Tensor | None = None

    def keep(self, going: Tensor) -> "Beams":
        """Go on with these sentences ``[n]``."""
        attention = self.attention
        if attention is not None:
            attention = attention.unflatten(0, self.total.shape)[going].flatten(0, 1)
        return Beams(
            self.state.keep(going),
            self.rows[going],
            self.limit[going],
            self.total[going],
            self.tokens[going],
            self.best[going],
            attention,
        )


class Beam:
    """Keeps the ``beam_size`` best beginnings of a translation, a token longer at every step.

    A hypothesis that ends keeps its place in the beam: with k finished, the search goes on with
    ``beam_size − k`` live ones. (So ``beam_size=1`` is greedy search.) A sentence is done when no
    place is left, or when no live hypothesis can reach the score of its ``n_best``-th finished one
    (``LengthPenalty.bound``). Then it leaves the batch. All this looks at one sentence alone, so
    that results do not depend on the batch that a sentence is in.

    Args:
        beam_size: places in the beam.
        length_penalty: ``average`` (``log p / length^α``) or ``gnmt``
            (``log p / ((5 + length) / 6)^α``); the length counts eos.
        alpha: the exponent α; 0 ranks by log-probability alone.
        n_best: hypotheses returned for each sentence (fewer if a sparse output mapping leaves
            fewer possible).
        max_length_ratio: at most ``ratio · source_length + offset`` tokens (without eos).
        max_length_offset: the offset of that limit.
        forbid: ids never emitted, besides padding and bos (for example ``[1]``, the unknown word).
        pad_id: the id of padding.
        bos_id: the id that begins a target.
        eos_id: the id that ends it.
    """

    def __init__(
        self,
        beam_size: int = 5,
        length_penalty: str = "average",
        alpha: float = 1.0,
        n_best: int = 1,
        max_length_ratio: float = 2.0,
        max_length_offset: int = 10,
        *,
        forbid: Sequence[int] = (),
        pad_id: int = 0,
        bos_id: int = 2,
        eos_id: int = 3,
    ) -> None:
        if not 1 <= n_best <= beam_size:
            raise ValueError(
                f"n_best={n_best} has to be between 1 and beam_size={beam_size}; change either"
            )
        self.beam_size, self.n_best = beam_size, n_best
        self.penalty = LengthPenalty(length_penalty, alpha)
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
        """Translate ``source`` ``[batch, source_length]``; up to ``n_best`` a sentence."""
        found: list[list[Hypothesis]] = [[] for _ in range(source.size(0))]
        if found:
            with searching(model):
                self._search(model, source, source_lengths, return_attention, found)
        return [self._ranked(hypotheses) for hypotheses in found]

    def _ranked(self, hypotheses: list[Hypothesis]) -> list[Hypothesis]:
        """The ``n_best``; one of probability zero, cut at the limit, only if there is no other."""
        ranked = sorted(hypotheses, key=lambda hypothesis: -hypothesis.score)
        possible = [hypothesis for hypothesis in ranked if hypothesis.score > -torch.inf]
        return possible[: self.n_best] or ranked[:1]

    def _search(
        self,
        model: EncoderDecoder,
        source: Tensor,
        source_lengths: Tensor,
        attend: bool,
        found: list[list[Hypothesis]],
    ) -> None:
        beams = self._start(model, source, source_lengths)
        lengths = source_lengths.tolist() if attend else []
        forbidden = source.new_tensor(self.forbidden)
        while beams.rows.numel():
            token = beams.tokens[:, :, -1].flatten()
            logits, beams.state, attention = model.step(beams.state, token, return_attention=attend)
            if attention is not None:
                past = [] if beams.attention is None else [beams.attention]
                beams.attention = torch.cat([*past, attention], dim=3)
            step = log_probabilities(logits, model.output_mapping, forbidden)
            totals, parents, tokens = self._candidates(beams, step)
            ends = self._ends(beams, totals, tokens)
            self._finish(beams, ends, totals, parents, lengths, found)
            beams = self._advance(beams, totals, parents, tokens)
            beams = self._leave(beams)

    def _start(self, model: EncoderDecoder, source: Tensor, source_lengths: Tensor) -> Beams:
        """One live hypothesis a sentence: bos."""
        sentences, size = source.size(0), self.beam_size
        total = torch.full((sentences, size), -torch.inf, device=source.device)
        best = total.clone()
        total[:, 0] = 0.0
        return Beams(
            model.start(source, source_lengths).widen(size),
            torch.arange(sentences, device=source.device),
            self.limit(model, source_lengths),
            total,
            source.new_full((sentences, size, 1), self.bos_id),
            best,
        )

    def _candidates(self, beams: Beams, step: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The ``2 · beam_size`` best ways to go on, best first: enough live ones, if all end.

        ``step`` ``[sentences · size, vocabulary]`` are log-probabilities of the next token.
        Returns log-probability, parent and token, ``[sentences, 2 · size]`` each.
        """
        size, vocabulary = self.beam_size, step.size(-1)
        step = step.unflatten(0, (-1, size))
        at_limit = beams.limit == beams.tokens.size(2) - 1
        if at_limit.any():
            forced = torch.full_like(step, -torch.inf)
            forced[..., self.eos_id] = step[..., self.eos_id].clamp(min=IMPOSSIBLE)
            step = torch.where(at_limit[:, None, None], forced, step)
        candidates = step.add_(beams.total[:, :, None]).flatten(1)
        totals, flat = candidates.topk(min(2 * size, candidates.size(1)), dim=-1)
        return totals, flat // vocabulary, flat % vocabulary

    def _ends(self, beams: Beams, totals: Tensor, tokens: Tensor) -> Tensor:
        """Candidates that are finished translations: eos, among as many as there are places."""
        places = self.beam_size - beams.best.isfinite().sum(1, keepdim=True)
        rank = torch.arange(totals.size(1), device=totals.device)
        return (tokens == self.eos_id) & (rank < places) & totals.isfinite()

    def _finish(
        self,
        beams: Beams,
        ends: Tensor,
        totals: Tensor,
        parents: Tensor,
        source_lengths: list[int],
        found: list[list[Hypothesis]],
    ) -> None:
        """Record the hypotheses that end, and their scores."""
        length = torch.tensor(float(beams.tokens.size(2)), device=totals.device)
        scores = self.penalty.score(totals, length).masked_fill(~ends, -torch.inf)
        beams.best = torch.cat([beams.best, scores], dim=1).topk(self.beam_size, dim=1).values
        sentence, rank = ends.nonzero(as_tuple=True)
        if not sentence.numel():
            return
        parent = parents[sentence, rank]
        impossible = totals <= IMPOSSIBLE
        records = zip(
            beams.rows[sentence].tolist(),
            (sentence * self.beam_size + parent).tolist(),
            beams.tokens[sentence, parent, 1:].tolist(),
            scores.masked_fill(impossible, -torch.inf)[sentence, rank].tolist(),
            totals.masked_fill(impossible, -torch.inf)[sentence, rank].tolist(),
            strict=True,
        )
        for row, place, tokens, score, total in records:
            attention = None
            if beams.attention is not None:
                attention = beams.attention[place, ..., : source_lengths[row]].clone()
            found[row].append(Hypothesis(tokens, score, total, attention))

    def _advance(self, beams: Beams, totals: Tensor, parents: Tensor, tokens: Tensor) -> Beams:
        """Fill the live places with the best candidates that do not end."""
        size = self.beam_size
        totals = totals.masked_fill(tokens == self.eos_id, -torch.inf)
        beams.total, rank = totals.topk(size, dim=-1)
        places = size - beams.best.isfinite().sum(1, keepdim=True)
        occupied = torch.arange(size, device=totals.device) >= places
        beams.total = beams.total.masked_fill(occupied, -torch.inf)
        parent, token = parents.gather(1, rank), tokens.gather(1, rank)
        first = torch.arange(parent.size(0), device=parent.device)[:, None] * size
        rows = (parent + first).flatten()
        beams.state = beams.state.reorder(rows)
        history = beams.tokens.flatten(0, 1)[rows].view_as(beams.tokens)
        beams.tokens = torch.cat([history, token[..., None]], dim=-1)
        if beams.attention is not None:
            beams.attention = beams.attention[rows]
        return beams

    def _leave(self, beams: Beams) -> Beams:
        """Drop the sentences that are done."""
        next_length = torch.tensor(float(beams.tokens.size(2)), device=beams.total.device)
        reachable = self.penalty.bound(
            beams.total[:, 0], next_length, (beams.limit + 1).to(beams.total.dtype)
        )
        going = (reachable > beams.best[:, self.n_best - 1]).nonzero().squeeze(-1)
        return beams if going.numel() == beams.rows.numel() else beams.keep(going)
