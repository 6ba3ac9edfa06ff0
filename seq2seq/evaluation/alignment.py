"""Attention as word alignment: from subwords to words, to links, to a score against gold."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

Link = tuple[int, int]
"""(source word, target word), 0-based."""

Segments = Sequence[tuple[tuple[int, int], tuple[int, int]]]
"""Pairs of phrases that translate as units: ((source start, end), (target start, end)), ends
exclusive, over whitespace words."""


class Alignment(NamedTuple):
    """Gold links: the sure ones and all possible ones (sure ones included)."""

    sure: frozenset[Link]
    possible: frozenset[Link]


def parse_pharaoh(text: str) -> Alignment:
    """Read Pharaoh links: ``0-0 1-2`` are sure, ``1p3`` only possible; source first, 0-based."""
    sure, possible = set(), set()
    for item in text.split():
        mark = "p" if "p" in item else "-"
        source, separator, target = item.partition(mark)
        if not (separator and _is_index(source) and _is_index(target)):
            raise ValueError(
                f"alignment: {item!r} in {text!r} is no link; write source-target with two "
                "0-based word numbers, such as 0-0 1-2 (1p2 for a link that is only possible)"
            )
        possible.add((int(source), int(target)))
        if mark == "-":
            sure.add((int(source), int(target)))
    return Alignment(frozenset(sure), frozenset(possible))


def format_pharaoh(links: Iterable[Link]) -> str:
    """Write links as Pharaoh pairs in order of source, then target: ``0-0 1-2``."""
    return " ".join(f"{source}-{target}" for source, target in sorted(links))


def parse_segments(source_segments: str, target_segments: str) -> Segments:
    """Read the phrases of a sentence pair: the k-th source span translates to the k-th target span.

    A span is ``start-end``, end exclusive, over whitespace words: ``0-2 2-3``.
    """
    source, target = _spans("source", source_segments), _spans("target", target_segments)
    if len(source) != len(target):
        raise ValueError(
            f"segments: {len(source)} source spans {source_segments!r} but {len(target)} target "
            f"spans {target_segments!r}; the k-th of one translates to the k-th of the other"
        )
    return list(zip(source, target, strict=True))


def _spans(side: str, text: str) -> list[tuple[int, int]]:
    spans = []
    for item in text.split():
        start, _, end = item.partition("-")
        if not (_is_index(start) and _is_index(end) and int(start) < int(end)):
            raise ValueError(
                f"{side}_segments: {item!r} in {text!r} is no span; write start-end with "
                "0-based word numbers, end exclusive, such as 0-2 2-3"
            )
        spans.append((int(start), int(end)))
    return spans


def _is_index(text: str) -> bool:
    return text.isascii() and text.isdigit()


def word_attention(
    attention: Tensor,
    source_words: Sequence[int],
    target_words: Sequence[int],
    *,
    source_count: int | None = None,
    target_count: int | None = None,
) -> Tensor:
    """Attention between subwords → attention between words.

    Source pieces of a word are summed, for its mass is what they hold together; target pieces of
    a word are averaged, for each is a distribution of its own:

        A'[u, v] = mean over target pieces t of u of  Σ over source pieces s of v of  A[t, s]

    Rows and columns of word −1 (eos, padding) are left out, and nothing is renormalized: mass on
    the source's eos is missing from the rows.

    Args:
        attention: [..., target_length, source_length].
        source_words: [source_length], the word of each source subword, −1 for none.
        target_words: [target_length], likewise.
        source_count: number of source words; the largest index + 1 unless given. Words without a
            subword (cut off with an over-long sentence, say) get no attention.
        target_count: number of target words, likewise.

    Returns:
        [..., target words, source words] float64.
    """
    if attention.shape[-2:] != (len(target_words), len(source_words)):
        raise ValueError(
            f"attention has {attention.shape[-2]} rows and {attention.shape[-1]} columns, but "
            f"target_words names {len(target_words)} subwords and source_words "
            f"{len(source_words)}; give −1 for eos and padding"
        )
    source = _membership("source", source_words, source_count, attention.device)
    target = _membership("target", target_words, target_count, attention.device)
    # Sums by 0/1 matrices first, division after: sums of float32 in float64 are exact, so that
    # equal weights stay exactly equal.
    summed = target.T @ attention.to(torch.float64) @ source
    return summed / target.sum(0).clamp(min=1)[:, None]


def _membership(side: str, words: Sequence[int], count: int | None, device: torch.device) -> Tensor:
    """[subwords, words] float64, 1 where the subword belongs to the word."""
    found = max(words, default=-1) + 1
    if count is not None and found > count:
        raise ValueError(
            f"{side}_words names word {found - 1} (from 0), but the {side} has {count} words"
        )
    index = torch.tensor(words, dtype=torch.int64, device=device)
    columns = torch.arange(found if count is None else count, device=device)
    return (index[:, None] == columns).to(torch.float64)


def hard_alignment(attention: Tensor, threshold: float = 1.0) -> Tensor:
    """Link each target word to the source words that it looks at most.

        u and v are linked  ⇔  A[u, v] > 0  and  A[u, v] ≥ threshold · max_v' A[u, v']

    With ``threshold=1`` that is the argmax, and where several source words share the maximum, as
    in a fused run, all of them: to take the first would be arbitrary. A smaller threshold links
    more, for example 0.5 every word with half the largest weight, which also joins the words of a
    fused run that were cut into different numbers of subwords.

    Args:
        attention: [..., target words, source words].
        threshold: in (0, 1].

    Returns:
        [..., target words, source words] bool; ``links`` reads one sentence's pairs from it.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold: {threshold} is outside (0, 1]")
    if attention.shape[-1] == 0:
        return torch.zeros_like(attention, dtype=torch.bool)
    top = attention.amax(-1, keepdim=True)
    return (attention > 0) & (attention >= threshold * top)


def links(aligned: Tensor) -> set[Link]:
    """[target words, source words] bool → the set of its (source, target) links."""
    return {(source, target) for target, source in aligned.nonzero().tolist()}


_COUNTS = ("predicted", "in_sure", "in_possible", "mass", "segment_mass", "segment_exact")


class AlignmentScore:
    """Agreement of attention with gold alignments over a corpus, by layer and head.

    With A the links of ``hard_alignment``, S the sure and P ⊇ S the possible gold links, counted
    over the whole corpus (Och & Ney 2003; where the gold has one kind of link, P = S):

        precision = |A ∩ P| / |A|       recall = |A ∩ S| / |S|
        aer = 1 − (|A ∩ S| + |A ∩ P|) / (|A| + |S|)

    and of the soft weights, without any threshold:

        alignment_mass  mean over target words with a gold link of the mass on words linked (P)
        segment_mass    mean over target words in a phrase of the mass within its source phrase
        segment_exact   share of those target words whose links are exactly that source phrase

    Attention of the reference translation (forced decoding) is what gold links speak about.
    A measure without anything to divide by is None.
    """

    def __init__(self, layers: int = 1, heads: int = 1, *, threshold: float = 1.0) -> None:
        self.threshold = threshold
        self.sentences = 0
        self.sure = 0
        self.linked_words = 0
        self.segment_words = 0
        # One more row than heads: the last is the attention averaged over all of them.
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
            attention: [layer, head, target_length, source_length] between subwords; one layer of
                one head may be [target_length, source_length].
            source_words: [source_length], as for ``word_attention``.
            target_words: [target_length], likewise.
            example: ``source``, ``target``, ``alignment`` and, where there are phrases,
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
            attention: [layer, head, target words, source words], as from ``word_attention``.
            gold: its gold links, as from ``parse_pharaoh``.
            segments: its phrases, as from ``parse_segments``.
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
        sure, possible = _link_matrix(gold.sure, shape), _link_matrix(gold.possible, shape)
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
        """Add what another process has scored."""
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
        """The scores, ready for JSON.

        Returns:
            ``{"overall": {…}, "by_layer_head": [{"layer": 0, "head": 0, …}, …], "definitions":
            {"threshold": …}}``; ``overall` scores the attention averaged over layers and heads.
        """
        if self.sentences == 0:
            raise ValueError("no alignment seen: call update() with at least one sentence")
        rows = [self._measures(row) for row in self.counts.T.tolist()]
        return {
            "overall": {"sentences": self.sentences, **rows[-1]},
            "by_layer_head": [
                {"layer": index // self.heads, "head": index % self.heads, **row}
                for index, row in enumerate(rows[:-1])
            ],
            "definitions": {"threshold": self.threshold},
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


def _link_matrix(pairs: Iterable[Link], shape: tuple[int, ...]) -> Tensor:
    """[target words, source words] bool, True at the links."""
    matrix = torch.zeros(shape, dtype=torch.bool)
    for source, target in pairs:
        if target >= shape[0] or source >= shape[1]:
            raise ValueError(
                f"gold link {source}-{target} lies outside the sentence of {shape[1]} source and "
                f"{shape[0]} target words; is the alignment over whitespace words, source first?"
            )
        matrix[target, source] = True
    return matrix


def _phrase_matrix(segments: Segments, shape: tuple[int, ...]) -> Tensor:
    """[target words, source words] bool, True between the two sides of a phrase."""
    matrix = torch.zeros(shape, dtype=torch.bool)
    for (source_start, source_end), (target_start, target_end) in segments:
        if source_end > shape[1] or target_end > shape[0]:
            raise ValueError(
                f"segment {source_start}-{source_end} | {target_start}-{target_end} lies outside "
                f"the sentence of {shape[1]} source and {shape[0]} target words"
            )
        matrix[target_start:target_end, source_start:source_end] = True
    return matrix
