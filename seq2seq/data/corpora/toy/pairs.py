"""Sentences in two languages at once: units, phrases of units, and their rendering.

A `Unit` is a smallest span that is translated as a whole: a word and its word, an idiom and its
verb, `in the` and `ensol`. A `Phrase` has the same units twice, in source order and in target
order. Joining phrases concatenates the source sides and permutes the target sides. Alignment and
segments are computed once, when the finished phrase is rendered.
"""

from collections.abc import Sequence
from dataclasses import dataclass

Words = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Unit:
    """A span of source words and the span of target words that translates it.

    One side may be empty (a word without a translation). `links` are the aligned (source, target)
    positions within the unit; None: every word is aligned with every word.
    """

    source: Words
    target: Words
    links: tuple[tuple[int, int], ...] | None = None

    def aligned(self) -> list[tuple[int, int]]:
        """Return the links, also if they are the default."""
        if self.links is not None:
            return list(self.links)
        return [(i, j) for i in range(len(self.source)) for j in range(len(self.target))]


@dataclass(frozen=True)
class Phrase:
    """The same units in source order and in target order."""

    source: tuple[Unit, ...] = ()
    target: tuple[Unit, ...] = ()


@dataclass(frozen=True)
class Example:
    """A rendered sentence pair, one row of the corpus."""

    source: str
    target: str
    alignment: str
    source_segments: str
    target_segments: str


EMPTY = Phrase()


def unit(
    source: str | Sequence[str],
    target: str | Sequence[str],
    links: tuple[tuple[int, int], ...] | None = None,
) -> Phrase:
    """Return a phrase of one unit; strings are split at blanks."""
    one = Unit(_words(source), _words(target), links)
    return Phrase((one,), (one,))


def join(*phrases: Phrase, order: Sequence[int] | None = None) -> Phrase:
    """Concatenate phrases; `order[k]` is the k-th phrase of the target (default: same order)."""
    places = range(len(phrases)) if order is None else order
    return Phrase(
        tuple(one for phrase in phrases for one in phrase.source),
        tuple(one for place in places for one in phrases[place].target),
    )


def render(phrase: Phrase) -> Example:
    """Return words, Pharaoh alignment and segments of a finished phrase.

    Segments list, in source order, every unit with words on both sides.
    """
    source_start, source_words = _offsets(phrase.source, [one.source for one in phrase.source])
    target_start, target_words = _offsets(phrase.target, [one.target for one in phrase.target])
    links: list[tuple[int, int]] = []
    spans: list[tuple[str, str]] = []
    for one in phrase.source:
        i, j = source_start[id(one)], target_start[id(one)]
        links += [(i + a, j + b) for a, b in one.aligned()]
        if one.source and one.target:
            spans.append((f"{i}-{i + len(one.source)}", f"{j}-{j + len(one.target)}"))
    return Example(
        source=" ".join(source_words),
        target=" ".join(target_words),
        alignment=" ".join(f"{i}-{j}" for i, j in sorted(links)),
        source_segments=" ".join(span for span, _ in spans),
        target_segments=" ".join(span for _, span in spans),
    )


def _words(text: str | Sequence[str]) -> Words:
    return tuple(text.split()) if isinstance(text, str) else tuple(text)


def _offsets(units: tuple[Unit, ...], sides: list[Words]) -> tuple[dict[int, int], list[str]]:
    start: dict[int, int] = {}
    words: list[str] = []
    for one, side in zip(units, sides, strict=True):
        start[id(one)] = len(words)
        words += side
    return start, words
