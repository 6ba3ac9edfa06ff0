"""Agreement of attention with gold word alignments: precision, recall, AER, masses."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from seq2seq.evaluation.alignment import (
    Alignment,
    Segments,
    check_segments,
    hard_alignment,
    link_matrix,
    parse_pharaoh,
    parse_segments,
    word_attention,
)

_COUNTS = ("predicted", "in_sure", "in_possible", "mass", "segment_mass", "segment_exact")


class AlignmentScore:
    """Agreement of attention with gold alignments over a corpus, by layer and head.

    Let A be the links of ``hard_alignment``, S the sure and P ⊇ S the possible gold links, counted
    over the whole corpus (Och & Ney 2003). If the gold has one kind of link only, P = S:

        precision = |A ∩ P| / |A|       recall = |A ∩ S| / |S|
        aer = 1 − (|A ∩ S| + |A ∩ P|) / (|A| + |S|)

    Three more measures follow. The first two use the soft weights, without a threshold:

        alignment_mass  mean over target words with a gold link of the mass on words linked (P)
        segment_mass    mean over target words in a phrase of the mass within its source phrase
        segment_exact   share of those target words whose links are exactly that source phrase

    Use the attention over the reference translation (forced decoding), because the gold links refer
    to its words. A measure whose denominator is 0 is None.
    """

    def __init__(self, layers: int = 1, heads: int = 1, *, threshold: float = 1.0) -> None:
        self.threshold = threshold
        self.sentences = 0
        self.sure = 0
        self.linked_words = 0
        self.segment_words = 0
        # The extra last column is for the attention averaged over all layers and heads.
        self.counts = torch.zeros(len(_COUNTS), layers * heads + 1, dtype=torch.float64)
        self.layers, self.heads = layers, heads

    def update(
        self,
        attention: Tensor,
        source_words: Sequence[int],
        target_words: Sequence[int],
        example: Mapping[str, Any],
    ) -> None:
        """Add one sentence, from subwords and a row of the corpus.

        Args:
            attention: [layer, head, target_length, source_length] between subwords, or
                [target_length, source_length] for a single layer and head.
            source_words: [source_length], as for ``word_attention``.
            target_words: [target_length], as for ``word_attention``.
            example: ``source``, ``target``, ``alignment`` and, optionally, the phrases
                ``source_segments`` and ``target_segments``.
        """
        words = word_attention(
            attention if attention.dim() == 4 else attention[None, None],
            source_words,
            target_words,
            source_count=len(example["source"].split()),
            target_count=len(example["target"].split()),
        )
        segments = parse_segments(
            example.get("source_segments") or "", example.get("target_segments") or ""
        )
        self.update_words(words, parse_pharaoh(example["alignment"]), segments)

    def update_words(self, attention: Tensor, gold: Alignment, segments: Segments = ()) -> None:
        """Add one sentence, from attention between words.

        Args:
            attention: [layer, head, target words, source words], from ``word_attention``.
            gold: gold links of the sentence, from ``parse_pharaoh``.
            segments: phrases of the sentence, from ``parse_segments``.
        """
        if attention.dim() != 4 or attention.shape[:2] != (self.layers, self.heads):
            raise ValueError(
                f"attention has shape {list(attention.shape)}; expected [{self.layers} layers, "
                f"{self.heads} heads, target words, source words]"
            )
        weights = attention.to("cpu", torch.float64).flatten(0, 1)
        weights = torch.cat((weights, weights.mean(0, keepdim=True)))
        aligned = hard_alignment(weights, self.threshold)
        shape = weights.shape[-2:]
        sure, possible = link_matrix(gold.sure, shape), link_matrix(gold.possible, shape)
        phrase = _phrase_matrix(segments, shape)
        in_phrase = phrase.any(-1)
        exact = (aligned == phrase).all(-1) & in_phrase
        self.counts += torch.stack(
            (
                aligned.sum((-2, -1)),
                (aligned & sure).sum((-2, -1)),
                (aligned & possible).sum((-2, -1)),
                (weights * possible).sum((-2, -1)),
                (weights * phrase).sum((-2, -1)),
                exact.sum(-1),
            )
        )
        self.sentences += 1
        self.sure += len(gold.sure)
        self.linked_words += int(possible.any(-1).sum())
        self.segment_words += int(in_phrase.sum())

    def merge(self, other: "AlignmentScore") -> None:
        """Add the counts of another process."""
        mine = (self.layers, self.heads, self.threshold)
        theirs = (other.layers, other.heads, other.threshold)
        if mine != theirs:
            raise ValueError(f"cannot merge (layers, heads, threshold) {theirs} into {mine}")
        self.counts += other.counts
        self.sentences += other.sentences
        self.sure += other.sure
        self.linked_words += other.linked_words
        self.segment_words += other.segment_words

    def summary(self) -> dict[str, Any]:
        """Return the scores, ready for JSON.

        Returns:
            ``{"overall": {…}, "by_layer_head": [{"layer": 0, …}, …], "definitions": {…}}``.
            ``overall`` has the scores of the attention averaged over layers and heads.
            ``definitions`` has the ``threshold``.
        """
        if self.sentences == 0:
            raise ValueError(
                "no alignment seen: call update() with at least one sentence before summary()"
            )
        rows = [self._measures(row) for row in self.counts.T.tolist()]
        return {
            "overall": {"sentences": self.sentences, **rows[-1]},
            "by_layer_head": [
                {"layer": index // self.heads, "head": index % self.heads, **row}
                for index, row in enumerate(rows[:-1])
            ],
            "definitions": {"threshold": self.threshold},
        }

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield the scores in the format of ``AttentionStatistics.records``.

        ``tokens`` is the number of target words with a gold link.
        """
        summary = self.summary()
        overall = {"layer": "all", "head": "all", **summary["overall"]}
        for entry in [overall, *summary["by_layer_head"]]:
            place = {"layer": entry["layer"], "head": entry["head"], "by": "all"}
            for name, value in entry.items():
                if name not in ("layer", "head", "sentences") and value is not None:
                    yield {
                        "statistic": name,
                        **place,
                        "minimum": None,
                        "maximum": None,
                        "value": value,
                        "tokens": self.linked_words,
                    }

    def _measures(self, row: Sequence[float]) -> dict[str, float | None]:
        counts = dict(zip(_COUNTS, row, strict=True))
        agreement = _ratio(
            counts["in_sure"] + counts["in_possible"], counts["predicted"] + self.sure
        )
        return {
            "precision": _ratio(counts["in_possible"], counts["predicted"]),
            "recall": _ratio(counts["in_sure"], self.sure),
            "aer": None if agreement is None else 1 - agreement,
            "alignment_mass": _ratio(counts["mass"], self.linked_words),
            "segment_mass": _ratio(counts["segment_mass"], self.segment_words),
            "segment_exact": _ratio(counts["segment_exact"], self.segment_words),
        }


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _phrase_matrix(segments: Segments, shape: tuple[int, ...]) -> Tensor:
    """Return a [target words, source words] bool matrix, True between the sides of a phrase."""
    matrix = torch.zeros(shape, dtype=torch.bool)
    check_segments(segments, shape)
    for (source_start, source_end), (target_start, target_end) in segments:
        matrix[target_start:target_end, source_start:source_end] = True
    return matrix
