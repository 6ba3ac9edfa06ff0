"""What outputs are like beside their sources: how long, and how much of them is new."""

from __future__ import annotations

from collections.abc import Sequence

UNITS = ("unigrams", "bigrams", "trigrams")


def novel_share(outputs: Sequence[str], sources: Sequence[str], order: int) -> float | None:
    """Share of the n-grams of all outputs that their own source does not have (See et al. 2017).

    Words are those between blanks, case folded. None where the outputs have no n-gram.

    Args:
        outputs: one text an example.
        sources: as many.
        order: n.
    """
    novel = total = 0
    for output, source in zip(outputs, sources, strict=True):
        known = set(_ngrams(source, order))
        grams = _ngrams(output, order)
        novel += sum(gram not in known for gram in grams)
        total += len(grams)
    return novel / total if total else None


def output_summary(
    hypotheses: Sequence[str], references: Sequence[str], sources: Sequence[str]
) -> dict[str, float | None]:
    """Mean words, and the novel shares of 1-, 2- and 3-grams, of outputs and of references."""
    found: dict[str, float | None] = {}
    for prefix, texts in (("", hypotheses), ("reference_", references)):
        found[f"{prefix}words"] = sum(len(text.split()) for text in texts) / len(texts)
        for order, name in enumerate(UNITS, start=1):
            found[f"{prefix}novel_{name}"] = novel_share(texts, sources, order)
    return found


def _ngrams(text: str, order: int) -> list[tuple[str, ...]]:
    words = text.casefold().split()
    return [tuple(words[k : k + order]) for k in range(len(words) - order + 1)]
