"""Attention as word alignment: from subwords to words, to links, to Pharaoh's format."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

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
                f"alignment: {item!r:.60} in {text!r:.200} is no link; write source-target with "
                "two 0-based word numbers, such as 0-0 1-2 (1p2 for a link that is only possible)"
            )
        possible.add((int(source), int(target)))
        if mark == "-":
            sure.add((int(source), int(target)))
    return Alignment(frozenset(sure), frozenset(possible))


def check_inside(gold: Alignment, source: str, target: str, segments: Segments = ()) -> None:
    """Refuse links to words, and segments of words, that a sentence pair does not have.

    Raises:
        ValueError: naming the link or the segment.
    """
    shape = len(target.split()), len(source.split())
    _check_inside(gold.possible, *shape)
    check_segments(segments, shape)


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
            f"segments: {len(source)} source spans {source_segments!r:.200} but {len(target)} "
            f"target spans {target_segments!r:.200}; the k-th of one translates to the k-th of the "
            "other"
        )
    return list(zip(source, target, strict=True))


def _spans(side: str, text: str) -> list[tuple[int, int]]:
    spans = []
    for item in text.split():
        start, _, end = item.partition("-")
        if not (_is_index(start) and _is_index(end) and int(start) < int(end)):
            raise ValueError(
                f"{side}_segments: {item!r:.60} in {text!r:.200} is no span; write start-end with "
                "0-based word numbers, end exclusive, such as 0-2 2-3"
            )
        spans.append((int(start), int(end)))
    return spans


def _is_index(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


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


def attention_links(
    attention: Tensor,
    source_words: Sequence[int],
    target_words: Sequence[int],
    source: str,
    target: str,
) -> set[Link]:
    """The word alignment that the attention of one sentence pair draws.

    Subwords are joined to the whitespace words of both texts (``word_attention``), layers and heads
    are averaged, and each target word is linked to the source word with the largest weight, or to
    all of them that share it (``hard_alignment`` with threshold 1). A target word that attends to
    the end of the source alone has no link.

    Args:
        attention: [layer, head, target_length, source_length] between subwords.
        source_words: [source_length], as for ``word_attention``.
        target_words: [target_length], likewise.
        source: the source text.
        target: the target text.
    """
    words = word_attention(
        attention,
        source_words,
        target_words,
        source_count=len(source.split()),
        target_count=len(target.split()),
    )
    return links(hard_alignment(words.flatten(0, 1).mean(0)))


def link_matrix(pairs: Iterable[Link], shape: tuple[int, ...]) -> Tensor:
    """[target words, source words] bool, True at the links."""
    pairs = list(pairs)
    _check_inside(pairs, *shape)
    matrix = torch.zeros(shape, dtype=torch.bool)
    for source, target in pairs:
        matrix[target, source] = True
    return matrix


def check_segments(segments: Segments, shape: tuple[int, ...]) -> None:
    """Refuse segments outside a sentence of ``shape``, target words and source words.

    Raises:
        ValueError: naming the segment.
    """
    for (source_start, source_end), (target_start, target_end) in segments:
        if source_end > shape[1] or target_end > shape[0]:
            raise ValueError(
                f"segment {source_start}-{source_end} | {target_start}-{target_end} lies outside "
                f"the sentence of {shape[1]} source and {shape[0]} target words"
            )


def _check_inside(pairs: Iterable[Link], target_count: int, source_count: int) -> None:
    for source, target in pairs:
        if target >= target_count or source >= source_count:
            raise ValueError(
                f"gold link {source}-{target} lies outside the sentence of {source_count} source "
                f"and {target_count} target words; is the alignment over whitespace words, source "
                "first?"
            )
