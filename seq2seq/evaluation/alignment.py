"""Word alignments from attention: subwords to words, words to links, Pharaoh's format."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

Link = tuple[int, int]
"""(source word, target word), 0-based."""

Segments = Sequence[tuple[tuple[int, int], tuple[int, int]]]
"""Pairs of phrases that are translated as units: ((source start, end), (target start, end)).

Positions count whitespace words, and ends are exclusive."""


class Alignment(NamedTuple):
    """Gold links: the sure ones, and all possible ones, which include the sure ones."""

    sure: frozenset[Link]
    possible: frozenset[Link]


def parse_pharaoh(text: str) -> Alignment:
    """Parse Pharaoh links: ``0-0 1-2`` are sure, ``1p3`` is only possible.

    The source word comes first, and numbers are 0-based.
    """
    sure, possible = set(), set()
    for item in text.split():
        mark = "p" if "p" in item else "-"
        source, separator, target = item.partition(mark)
        if not (separator and _is_index(source) and _is_index(target)):
            raise ValueError(
                f"alignment: {item!r:.60} in {text!r:.200} is not a link; write source-target with "
                "two 0-based word numbers, such as 0-0 1-2 (1p2 for a link that is only possible)"
            )
        possible.add((int(source), int(target)))
        if mark == "-":
            sure.add((int(source), int(target)))
    return Alignment(frozenset(sure), frozenset(possible))


def check_inside(gold: Alignment, source: str, target: str, segments: Segments = ()) -> None:
    """Raise `ValueError` for links or segments of words that the sentence pair does not have.

    Raises:
        ValueError: the message names the link or the segment.
    """
    shape = len(target.split()), len(source.split())
    _check_inside(gold.possible, *shape)
    check_segments(segments, shape)


def format_pharaoh(links: Iterable[Link]) -> str:
    """Write links as Pharaoh pairs in order of source, then target: ``0-0 1-2``."""
    return " ".join(f"{source}-{target}" for source, target in sorted(links))


def parse_segments(source_segments: str, target_segments: str) -> Segments:
    """Parse the phrases of a sentence pair: the k-th source span belongs to the k-th target span.

    A span is ``start-end`` over whitespace words, with an exclusive end: ``0-2 2-3``.
    """
    source, target = _spans("source", source_segments), _spans("target", target_segments)
    if len(source) != len(target):
        raise ValueError(
            f"segments: {len(source)} source spans {source_segments!r:.200} but {len(target)} "
            f"target spans {target_segments!r:.200}; both need the same number, because the k-th "
            "source span is translated by the k-th target span"
        )
    return list(zip(source, target, strict=True))


def _spans(side: str, text: str) -> list[tuple[int, int]]:
    spans = []
    for item in text.split():
        start, _, end = item.partition("-")
        if not (_is_index(start) and _is_index(end) and int(start) < int(end)):
            raise ValueError(
                f"{side}_segments: {item!r:.60} in {text!r:.200} is not a span; write start-end "
                "with 0-based word numbers, end exclusive, such as 0-2 2-3"
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
    """Convert attention between subwords to attention between words.

    The columns of a source word's pieces are summed, because its weight is their total. The rows of
    a target word's pieces are averaged, because each row is a distribution:

        A'[u, v] = mean over target pieces t of u of  Σ over source pieces s of v of  A[t, s]

    Rows and columns of word −1 (eos, padding) are left out, without renormalization. The rows
    therefore lack the mass on the source's eos.

    Args:
        attention: [..., target_length, source_length].
        source_words: [source_length], the word of each source subword, −1 for no word.
        target_words: [target_length], the same for the target.
        source_count: number of source words; None: the largest index + 1. Words without a subword,
            such as those cut off from a long sentence, get weight 0.
        target_count: the same for the target.

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
    # Sum first and divide afterwards: sums of float32 in float64 are exact, so equal weights stay
    # exactly equal.
    summed = target.T @ attention.to(torch.float64) @ source
    return summed / target.sum(0).clamp(min=1)[:, None]


def _membership(side: str, words: Sequence[int], count: int | None, device: torch.device) -> Tensor:
    """Return a [subwords, words] float64 matrix with 1 where the subword belongs to the word."""
    needed = max(words, default=-1) + 1
    if count is not None and needed > count:
        raise ValueError(
            f"{side}_words names word {needed - 1} (from 0), but the {side} has {count} words"
        )
    index = torch.tensor(words, dtype=torch.int64, device=device)
    columns = torch.arange(needed if count is None else count, device=device)
    return (index[:, None] == columns).to(torch.float64)


def hard_alignment(attention: Tensor, threshold: float = 1.0) -> Tensor:
    """Link each target word to the source words with the largest weight.

        u and v are linked  ⇔  A[u, v] > 0  and  A[u, v] ≥ threshold · max_v' A[u, v']

    With ``threshold=1`` this is the argmax. If several source words share the maximum, as in a
    fused run, all of them are linked, because any choice among them would be arbitrary. A smaller
    threshold links more words: 0.5 links every word with at least half of the largest weight. That
    also joins the words of a fused run that have different numbers of subwords.

    Args:
        attention: [..., target words, source words].
        threshold: in (0, 1].

    Returns:
        [..., target words, source words] bool; ``links`` converts one sentence to pairs.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold: {threshold} is outside (0, 1]")
    if attention.shape[-1] == 0:
        return torch.zeros_like(attention, dtype=torch.bool)
    top = attention.amax(-1, keepdim=True)
    return (attention > 0) & (attention >= threshold * top)


def links(aligned: Tensor) -> set[Link]:
    """Return the (source, target) links of a [target words, source words] bool matrix."""
    return {(source, target) for target, source in aligned.nonzero().tolist()}


def attention_links(
    attention: Tensor,
    source_words: Sequence[int],
    target_words: Sequence[int],
    source: str,
    target: str,
) -> set[Link]:
    """Return the word alignment that the attention of one sentence pair implies.

    Attention between subwords becomes attention between whitespace words (``word_attention``) and
    is averaged over layers and heads. Each target word is linked to the source words with the
    largest weight (``hard_alignment`` with threshold 1). A target word that attends only to the end
    of the source has no link.

    Args:
        attention: [layer, head, target_length, source_length] between subwords.
        source_words: [source_length], as for ``word_attention``.
        target_words: [target_length], as for ``word_attention``.
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
    """Return a [target words, source words] bool matrix that is True at the links."""
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
                f"and {target_count} target words; alignments must count whitespace words from 0, "
                "source first"
            )
