"""Length of outputs, and the share of their n-grams that is new."""

from __future__ import annotations

from collections.abc import Sequence

UNITS = ("unigrams", "bigrams", "trigrams")


def novel_share(outputs: Sequence[str], sources: Sequence[str], order: int) -> float | None:
    """Return the share of the outputs' n-grams that their source lacks (See et al. 2017).

    Words are split at blanks and case-folded. The result is None if the outputs have no n-gram.

    Args:
        outputs: one text per example.
        sources: the source of each output.
        order: n.
    """
    novel = total = 0
    for output, source in zip(outputs, sources, strict=True):
        source_grams = set(_ngrams(source, order))
        grams = _ngrams(output, order)
        novel += sum(gram not in source_grams for gram in grams)
        total += len(grams)
    return novel / total if total else None


def output_summary(
    hypotheses: Sequence[str], references: Sequence[str], sources: Sequence[str]
) -> dict[str, float | None]:
    """Return the mean number of words and the novel shares, of outputs and of references."""
    summary: dict[str, float | None] = {}
    for prefix, texts in (("", hypotheses), ("reference_", references)):
        summary[f"{prefix}words"] = sum(len(text.split()) for text in texts) / len(texts)
        for order, name in enumerate(UNITS, start=1):
            summary[f"{prefix}novel_{name}"] = novel_share(texts, sources, order)
    return summary


def _ngrams(text: str, order: int) -> list[tuple[str, ...]]:
    words = text.casefold().split()
    return [tuple(words[k : k + order]) for k in range(len(words) - order + 1)]
