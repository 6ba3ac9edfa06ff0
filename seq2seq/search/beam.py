"""Batched beam search."""

from typing import Any, Unpack

import torch
from torch import Tensor

from seq2seq.models.encoder_decoder import Decodable
from seq2seq.nn.choice import choose
from seq2seq.search.beams import Beams, Candidates, Ended, best_candidates
from seq2seq.search.hypothesis import AttentionRecord, Hypothesis
from seq2seq.search.limits import Bounds
from seq2seq.search.ranking import (
    STOPPING,
    LengthPenalty,
    coverage_penalty,
    covered,
    nothing_covered,
)
from seq2seq.search.search import Options, Search


class Beam(Search):
    """Beam search over a batch: keep the ``beam_size`` best hypotheses of each sentence.

    Each step makes the live hypotheses one token longer. A finished hypothesis keeps its place in
    the beam: with k finished hypotheses, the search continues with ``beam_size − k`` live ones.
    ``beam_size=1`` is therefore greedy search. A finished sentence leaves the batch. The result for
    a sentence does not depend on the rest of the batch.

    With ``groups``, this is diverse beam search (Vijayakumar et al. 2018). Each group is a beam of
    ``beam_size / groups`` places. The groups choose their tokens one after another. A token that n
    hypotheses of earlier groups chose at this step costs ``diversity · n``. Scores do not include
    this cost. A hypothesis that several groups find is returned once.

    Args:
        beam_size: number of places in the beam.
        length_penalty: ``average`` (``log p / length^α``) or ``gnmt``
            (``log p / ((5 + length) / 6)^α``); the length includes eos, but not a prefix.
        alpha: the exponent α; 0 ranks by log-probability alone.
        n_best: number of hypotheses to return for each sentence. With a sparse output mapping
            there may be fewer.
        coverage: β of the coverage penalty (``coverage_penalty``), which is added to the score of
            finished hypotheses; 0 disables it.
        early_stopping: when to stop the search of a sentence, besides when no place is left.
            ``exact``: when no live hypothesis can reach the score of the ``n_best``-th finished
            one (``LengthPenalty.bound``); the result is the same as for ``never``, in fewer steps.
            ``first``: when ``n_best`` hypotheses have finished.
            ``never``: when all hypotheses have finished or reached the maximum length.
        groups: number of groups of diverse beam search; it must divide ``beam_size``.
        diversity: cost of a token that another group chose, in log-probability.
        options: the options of every search, see ``Search``.

    Raises:
        ValueError: if an option is unknown or out of range, or options contradict each other.
    """

    def __init__(
        self,
        beam_size: int = 5,
        length_penalty: str = "average",
        alpha: float = 1.0,
        n_best: int = 1,
        *,
        coverage: float = 0.0,
        early_stopping: str = "exact",
        groups: int = 1,
        diversity: float = 0.5,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(**options)
        if not 1 <= n_best <= beam_size:
            raise ValueError(
                f"n_best={n_best} has to be between 1 and beam_size={beam_size}; change one of them"
            )
        if groups < 1 or beam_size % groups:
            raise ValueError(
                f"groups={groups} does not divide beam_size={beam_size}; change one of them"
            )
        if coverage < 0 or diversity < 0:
            raise ValueError(
                f"coverage={coverage} and diversity={diversity} are costs and have to be at least 0"
            )
        self.beam_size, self.n_best = beam_size, n_best
        self.penalty = LengthPenalty(length_penalty, alpha)
        self.coverage = coverage
        self.goes_on = choose("early_stopping", early_stopping, STOPPING)
        self.groups, self.diversity = groups, diversity
        self.size = beam_size // groups

    def search(
        self,
        model: Decodable[Any],
        source: Tensor,
        source_lengths: Tensor,
        bounds: Bounds,
        attend: bool,
    ) -> list[list[Hypothesis]]:
        """See the base class."""
        beams = self._start(model, source, source_lengths, bounds, attend)
        distribution = self.distribution(model, source.device)
        ended: list[list[Ended]] = [[] for _ in range(source.size(0))]
        lost = torch.empty_like(beams.lost, dtype=torch.float64)
        while beams.rows.numel():
            logits, beams.state, attention = model.step(
                beams.state,
                beams.tokens[:, :, -1].flatten(),
                return_attention=attend or self.coverage > 0,
            )
            if attention is not None:
                self._look(beams, attention)
            step = distribution(logits, beams.tokens, beams.bounds)
            candidates = self._candidates(beams, step)
            ends = self._ends(beams, candidates)
            self._finish(beams, candidates, ends, ended)
            self._advance(beams, candidates, ends, ended)
            self._leave(beams, lost)
        record = beams.record
        lengths = source_lengths.tolist()
        return [
            self._ranked(ended[row], bound, lengths[row], record)
            for row, bound in enumerate(lost.tolist())
        ]

    def _start(
        self,
        model: Decodable[Any],
        source: Tensor,
        source_lengths: Tensor,
        bounds: Bounds,
        attend: bool,
    ) -> Beams:
        """Return the beams before the first step: one live hypothesis per sentence, bos."""
        sentences = source.size(0)
        state = model.start(source, source_lengths)
        total = torch.zeros(sentences, 1, device=source.device)
        unfinished = total.new_full((sentences, self.groups, self.size), -torch.inf)
        coverage = None
        if self.coverage:
            coverage = nothing_covered(source, source_lengths, total.dtype)
        return Beams(
            state,
            torch.arange(sentences, device=source.device),
            bounds,
            total,
            source.new_full((sentences, 1, 1), self.bos_id),
            best=unfinished,
            # With groups, hypotheses dropped for diversity are not tracked, so the bound is inf.
            lost=total[:, 0] + (-torch.inf if self.groups == 1 else torch.inf),
            record=AttentionRecord() if attend else None,
            coverage=coverage,
        )

    def _look(self, beams: Beams, attention: Tensor) -> None:
        """Add the attention of this step to the record and to the coverage, if they are used."""
        if beams.record is not None:
            beams.record.add(attention)
        if beams.coverage is not None:
            beams.coverage = beams.coverage + covered(attention)

    def _candidates(self, beams: Beams, step: Tensor) -> Candidates:
        """Return the ``2 · size`` best continuations of each group.

        At most ``size`` of them end, so at least ``size`` live ones remain. ``step`` ``[sentences,
        width, vocabulary]`` are log-probabilities of the next token.
        """
        totals = beams.grouped(step.add_(beams.total[:, :, None]))
        if self.groups == 1:
            return best_candidates(totals[:, 0], None, 2 * self.size)
        costs = torch.zeros_like(totals[:, 0, :1])
        by_group = []
        for group, places in enumerate(beams.places.unbind(1)):
            best = best_candidates(totals[:, group], costs, 2 * self.size)
            if beams.width > 1:
                best = best._replace(parent=best.parent + group * self.size)
            by_group.append(best)
            live, rank = self._live(best, places[:, None])
            chosen = best.token[:, 0].gather(1, rank[:, 0])
            weight = live[:, 0].isfinite() * self.diversity
            costs[:, 0].scatter_add_(1, chosen, weight.to(costs.dtype))
        return Candidates(*(torch.cat(parts, dim=1) for parts in zip(*by_group, strict=True)))

    def _ends(self, beams: Beams, candidates: Candidates) -> Tensor:
        """Return which candidates finish: those that end in eos, among the best ``places`` ones."""
        rank = torch.arange(candidates.total.size(2), device=candidates.total.device)
        ends = (candidates.token == self.eos_id) & (rank < beams.places)
        return ends & candidates.total.isfinite()

    def _live(self, candidates: Candidates, places: Tensor) -> tuple[Tensor, Tensor]:
        """Return merit and rank of the ``size`` best candidates that do not end in eos.

        The merit is −inf where a finished hypothesis occupies the place.
        """
        merit = candidates.merit.masked_fill(candidates.token == self.eos_id, -torch.inf)
        merit, rank = merit.topk(self.size, dim=-1)
        occupied = torch.arange(self.size, device=merit.device) >= places
        return merit.masked_fill(occupied, -torch.inf), rank

    def _lengths(self, beams: Beams) -> tuple[Tensor, Tensor]:
        """Return the lengths of hypotheses that end now, and at the maximum length.

        Both are ``[sentences, 1, 1]``. They include eos, but not a prefix.
        """
        prefix = beams.bounds.prefix_length
        now = beams.tokens.size(2) - prefix
        most = beams.bounds.maximum + 1 - prefix
        exact = beams.total.dtype
        now, most = (number.clamp(min=1).to(exact) for number in (now, most))
        return now[:, None, None], most[:, None, None]

    def _finish(
        self, beams: Beams, candidates: Candidates, ends: Tensor, ended: list[list[Ended]]
    ) -> None:
        """Record the hypotheses that finish, and their scores."""
        if not ends.any():
            return
        now, _ = self._lengths(beams)
        scores = self.penalty.score(candidates.total, now)
        if beams.coverage is not None:
            penalty = coverage_penalty(beams.coverage, self.coverage).view_as(beams.total)
            flat = penalty.gather(1, candidates.parent.flatten(1))
            scores = scores + flat.view_as(scores)
        scores = scores.masked_fill(~ends, -torch.inf)
        beams.best = torch.cat([beams.best, scores], dim=2).topk(self.size, dim=2).values
        sentence, group, rank = ends.nonzero(as_tuple=True)
        parent = candidates.parent[sentence, group, rank]
        self._record(
            beams,
            sentence,
            parent,
            scores[sentence, group, rank],
            candidates.total[sentence, group, rank],
            ended,
        )

    def _record(
        self,
        beams: Beams,
        sentence: Tensor,
        parent: Tensor,
        score: Tensor,
        total: Tensor,
        ended: list[list[Ended]],
    ) -> None:
        """Append the ``[n]`` hypotheses to the ended ones of their sentences."""
        rows: list[list[int]] = [[]] * sentence.numel()
        if beams.record is not None and beams.record.rows is not None:
            rows = beams.record.rows[sentence * beams.width + parent].tolist()
        columns = (beams.rows[sentence], beams.tokens[sentence, parent, 1:], score, total)
        for row, *rest in zip(*(column.tolist() for column in columns), rows, strict=True):
            ended[row].append(Ended(*rest))

    def _advance(
        self, beams: Beams, candidates: Candidates, ends: Tensor, ended: list[list[Ended]]
    ) -> None:
        """Fill the free places with the best candidates that do not end."""
        merit, rank = self._live(candidates, beams.places)
        empty = merit == -torch.inf
        total = candidates.total.gather(2, rank).masked_fill(empty, -torch.inf)
        self._lose(beams, candidates, ends.scatter(2, rank, ~empty | ends.gather(2, rank)))
        stuck = (empty.all(-1) & ~beams.best.isfinite().any(-1)).all(-1).nonzero().squeeze(-1)
        if stuck.numel():  # no hypothesis can finish: return the best partial one, with score −inf
            none = beams.total.new_full(stuck.shape, -torch.inf)
            self._record(beams, stuck, beams.total[stuck].argmax(1), none, none, ended)
        beams.go_on(
            total.flatten(1),
            candidates.parent.gather(2, rank).flatten(1),
            candidates.token.gather(2, rank).flatten(1),
        )

    def _lose(self, beams: Beams, candidates: Candidates, kept: Tensor) -> None:
        """Include the scores that candidates not ``kept`` could have reached in ``beams.lost``."""
        dropped = candidates.total.masked_fill(kept, -torch.inf).amax(2)
        # Continuations that are not candidates are at most as probable as the last candidate.
        dropped = torch.maximum(dropped, candidates.total[..., -1]).amax(1)
        bound = self.penalty.bound(dropped, *(n.flatten() for n in self._lengths(beams)))
        beams.lost = torch.maximum(beams.lost, bound)

    def _leave(self, beams: Beams, lost: Tensor) -> None:
        """Remove finished sentences from the batch, and write their bounds into ``lost``."""
        next_length, most = (n.squeeze(2) for n in self._lengths(beams))
        live = beams.total.unflatten(1, (self.groups, -1)).amax(2)
        reachable = self.penalty.bound(live, next_length, most)
        last = beams.best[..., min(self.n_best, self.size) - 1]
        goes_on = self.goes_on(reachable, last).any(1)
        if goes_on.all():
            return
        done = ~goes_on
        left = torch.maximum(beams.lost, reachable.amax(1))
        lost[beams.rows[done]] = left[done].to(lost.dtype)
        beams.keep(goes_on.nonzero().squeeze(-1))

    def _ranked(
        self,
        ended: list[Ended],
        lost: float,
        source_length: int,
        record: AttentionRecord | None,
    ) -> list[Hypothesis]:
        """Return the ``n_best`` distinct hypotheses of a sentence, best first."""
        distinct: dict[tuple[int, ...], Ended] = {}
        for hypothesis in sorted(ended, key=lambda hypothesis: -hypothesis.score):
            distinct.setdefault(tuple(hypothesis.tokens), hypothesis)
        return [
            Hypothesis(
                hypothesis.tokens,
                hypothesis.score,
                hypothesis.total,
                None if record is None else record.read(hypothesis.rows, source_length),
                complete=lost <= hypothesis.score,
            )
            for hypothesis in list(distinct.values())[: self.n_best]
        ]
