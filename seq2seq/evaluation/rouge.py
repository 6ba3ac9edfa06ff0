r"""ROUGE-1, ROUGE-2 and ROUGE-L (Lin 2004): for any language, and in protocols of English tables.

The matches are counted by the package rouge-score; what is said here of ROUGE-1.5.5, the Perl
program of the published figures, is what its source does.

=============  ==========  =====================  ========  =====================================
protocol       measure     output and reference   stemming  words
=============  ==========  =====================  ========  =====================================
``unicode``    F1          whole                  no        letters and digits of any script
``gigaword``   F1          whole                  no        a–z and digits, as ROUGE-1.5.5
``pyrouge``    F1          whole                  yes       a–z and digits, as ROUGE-1.5.5
``duc``        recall      first 75 bytes         yes       a–z and digits, as ROUGE-1.5.5
=============  ==========  =====================  ========  =====================================

Which published tables used which:

- ``duc``: Rush et al. 2015 and those who follow their ``DUC/eval.sh``, ROUGE-1.5.5 with ``-m -n 2
  -w 1.2 -b 75``.
- ``pyrouge``: what was computed by the package pyrouge, which adds ``-m`` (stemming) unasked, or by
  files2rouge, which calls it. files2rouge stems by default, except between March and July 2020.
- ``gigaword``: F1 without stemming, ROUGE-1.5.5 without ``-m``. A Gigaword table that does not name
  its program may be of either kind; stemming can add a point.

- **Words** of ``tok:rouge`` are runs of the letters a–z and digits of the lower-cased text; all
  else separates words. So ``#.#`` and ``,`` count for nothing, ``<unk>`` and ``UNK`` are the word
  ``unk``, which matches like any other, and ``-lrb-`` is ``lrb``: published figures count so. Other
  alphabets have no words at all. ``tok:unicode`` takes letters and digits of any script, and each
  character of a script without blanks, such as Chinese or Thai; of ASCII text it is ``tok:rouge``.
  ``tok:whitespace`` counts what stands between blanks, as it stands.
- **Bytes** are those of UTF-8; a character is never cut, but a word may be, and what is left of it
  counts as a word (``-b`` does so, and cuts the references too).
- **Several references** (``refs``): ``pooled``, ROUGE-1.5.5's default (``-f A``), divides the
  matches with all references by the words of all; ``best`` takes the reference with the largest
  value, as rouge-score's ``score_multi`` and ``-f B`` do; ``jackknife`` (Lin 2004) averages the
  best of all but one reference. ROUGE did the last before version 1.4, never since.
- **A headline** is one sentence to ROUGE-L. With a ``separator`` there is ``rouge_lsum`` too, the
  ROUGE-L of summaries of several sentences: rouge-score's ``rougeLsum``.
- **Stemming** (``stem:porter``) is Porter's original algorithm for words of more than three
  letters, as in ROUGE-1.5.5, but without the list of WordNet's exceptions that it looks into first:
  `went` stays `went`. ``stem:nltk`` is the extended variant of NLTK, which rouge-score's
  ``use_stemmer=True`` takes: it makes other stems of `flies` or `lying`.
- **The score** is the mean over examples; its **interval** is the percentile bootstrap's. The
  average that ROUGE-1.5.5 prints is the mean of its bootstrap's means, some hundredths off.

On the 500 sentences of DUC 2004 task 1, cut at 75 bytes as outputs, the recall of each example is
that of ROUGE-1.5.5 to its five decimals, in all three scores, for ``-f A`` and ``-f B``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from typing import NamedTuple, TypedDict

import numpy as np
from nltk.stem.porter import PorterStemmer
from numpy.typing import NDArray
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenize import tokenize as rouge_words
from rouge_score.tokenizers import Tokenizer

from seq2seq.evaluation.reference_sets import check_references
from seq2seq.evaluation.writing import unicode_words

ORDERS = {"rouge_1": ("rouge1", 1), "rouge_2": ("rouge2", 2), "rouge_l": ("rougeL", 1)}
"""Our names of the scores: rouge-score's, and how many words the counted unit has."""
SUMMARY_LEVEL = {"rouge_lsum": ("rougeLsum", 1)}
"""The score of texts of several sentences, which a protocol with a ``separator`` has too."""


class Matches(NamedTuple):
    """Of one output and one reference: matching units, and the units of either."""

    hits: int
    reference: int
    output: int


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else 0.0


MEASURES: Mapping[str, Callable[[Matches], float]] = {
    "f1": lambda m: _ratio(2 * m.hits, m.reference + m.output),
    "recall": lambda m: _ratio(m.hits, m.reference),
    "precision": lambda m: _ratio(m.hits, m.output),
}
"""F1 = 2PR / (P + R) = 2 · hits / (units of the reference + units of the output)."""


def pooled(matches: Sequence[Matches], measure: Callable[[Matches], float]) -> float:
    """The measure of the sums over references."""
    return measure(Matches(*map(sum, zip(*matches, strict=True))))


def best(matches: Sequence[Matches], measure: Callable[[Matches], float]) -> float:
    """The largest over references."""
    return max(map(measure, matches))


def jackknife(matches: Sequence[Matches], measure: Callable[[Matches], float]) -> float:
    """The mean over references of the largest over all the others; of one reference, its value."""
    values = [measure(match) for match in matches]
    if len(values) == 1:
        return values[0]
    return sum(max(values[:k] + values[k + 1 :]) for k in range(len(values))) / len(values)


REFERENCES = {"pooled": pooled, "best": best, "jackknife": jackknife}


#: Words of a text before stemming.
TOKENIZERS: Mapping[str, Callable[[str], list[str]]] = {
    "unicode": unicode_words,
    "rouge": lambda text: rouge_words(text, None),
    "whitespace": str.split,
}
#: Modes of NLTK's stemmer: Porter's algorithm as published, and NLTK's variant.
STEMMERS = {
    "porter": PorterStemmer.ORIGINAL_ALGORITHM,
    "nltk": PorterStemmer.NLTK_EXTENSIONS,
}
LONGEST_UNSTEMMED = 3  # letters


@dataclass(frozen=True)
class Protocol:
    """What is measured; the defaults are those of ``unicode``.

    Attributes:
        measure: ``f1``, ``recall`` or ``precision``.
        stem: False, True (the same as ``porter``) or one of ``STEMMERS``; of words of the letters
            a–z alone, and not with ``tokenizer: whitespace``.
        max_bytes: outputs and references are cut there; None: they are not.
        references: ``pooled``, ``best`` or ``jackknife``.
        tokenizer: one of ``TOKENIZERS``.
        separator: what stands between the sentences of a text, such as ``<q>``; with it there is
            ``rouge_lsum`` too, ROUGE-L of summaries (ROUGE-1.5.5 on a sentence a line). None: a
            text is one sentence.
    """

    measure: str = "f1"
    stem: bool | str = False
    max_bytes: int | None = None
    references: str = "pooled"
    tokenizer: str = "unicode"
    separator: str | None = None

    def __post_init__(self) -> None:
        for name, known in (
            ("measure", MEASURES),
            ("references", REFERENCES),
            ("tokenizer", TOKENIZERS),
        ):
            if getattr(self, name) not in known:
                raise ValueError(f"rouge: {name}={getattr(self, name)}; choose {', '.join(known)}")
        if self.max_bytes is not None and self.max_bytes < 1:
            raise ValueError(f"rouge: max_bytes={self.max_bytes}; give at least 1, or null")
        if self.separator is not None and not self.separator.strip():
            raise ValueError(
                "rouge: separator is blank; give what stands between sentences, or null"
            )
        if not isinstance(self.stem, bool) and self.stem not in STEMMERS:
            raise ValueError(f"rouge: stem={self.stem}; choose true, false, {', '.join(STEMMERS)}")
        if self.stem and self.tokenizer == "whitespace":
            raise ValueError("rouge: stem=true needs tokenizer=rouge or unicode")

    @property
    def orders(self) -> dict[str, tuple[str, int]]:
        """The scores, as ``ORDERS`` has them."""
        return ORDERS if self.separator is None else {**ORDERS, **SUMMARY_LEVEL}

    @property
    def stemmer(self) -> str | None:
        """Name of the stemmer, one of ``STEMMERS``; None: there is none."""
        return "porter" if self.stem is True else self.stem or None

    @property
    def words(self) -> Callable[[str], list[str]]:
        """The function that returns the words of a text, stemmed where the protocol says so."""
        split = TOKENIZERS[self.tokenizer]
        if self.stemmer is None:
            return split
        stem = PorterStemmer(mode=STEMMERS[self.stemmer]).stem
        return lambda text: [
            stem(word) if len(word) > LONGEST_UNSTEMMED and word.isascii() else word
            for word in split(text)
        ]


PROTOCOLS: Mapping[str, Protocol] = {
    "unicode": Protocol(),
    "gigaword": Protocol(tokenizer="rouge"),
    "pyrouge": Protocol(tokenizer="rouge", stem=True),
    "duc": Protocol(measure="recall", stem=True, max_bytes=75, tokenizer="rouge"),
}


class RougeScore(TypedDict):
    """A mean over examples (0 to 100), its confidence interval, and what makes it reproducible."""

    score: float
    interval: tuple[float, float]
    signature: str


@dataclass(frozen=True)
class Bootstrap:
    """The percentile bootstrap of a mean: how often drawn, from which seed, how wide."""

    samples: int = 1000
    seed: int = 12345
    confidence: float = 0.95

    def intervals(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Lower and upper ends ``[2, scores]`` for the means of ``values`` ``[examples, scores]``.

        All scores are taken from the same draws.
        """
        random = np.random.default_rng(self.seed)
        number = len(values)
        means = np.stack(
            [values[random.integers(number, size=number)].mean(0) for _ in range(self.samples)]
        )
        outside = (1 - self.confidence) / 2
        return np.quantile(means, [outside, 1 - outside], axis=0)


def rouge_scores(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    protocol: str | Protocol = "unicode",
    *,
    bootstrap: Bootstrap | None = None,
) -> dict[str, RougeScore]:
    """ROUGE-1, ROUGE-2 and ROUGE-L of a corpus: means over its examples, in percent.

    Args:
        hypotheses: one output an example.
        references: one list a reference set, each as long as ``hypotheses``; an empty line is a
            reference that this example lacks.
        protocol: name of one in ``PROTOCOLS``, or your own.
        bootstrap: of the confidence intervals; None: the default one.

    Returns:
        ``{"rouge_1": {"score": …, "interval": (…, …), "signature": …}, "rouge_2": …, …}``

    Raises:
        ValueError: if the protocol is unknown, nothing is to be scored, or lengths differ.
    """
    named = _protocol(protocol)
    bootstrap = bootstrap or Bootstrap()
    values = sentence_rouge(hypotheses, references, named)
    means = 100 * values.mean(0)
    low, high = 100 * bootstrap.intervals(values)
    signature = rouge_signature(named, len(references), bootstrap)
    return {
        name: {
            "score": float(means[k]),
            "interval": (float(low[k]), float(high[k])),
            "signature": signature,
        }
        for k, name in enumerate(named.orders)
    }


def sentence_rouge(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    protocol: str | Protocol = "unicode",
) -> NDArray[np.float64]:
    """ROUGE-1, ROUGE-2 and ROUGE-L of each example, from 0 to 1, ``[examples, scores]``.

    A protocol with a separator has a fourth score, ``rouge_lsum``.
    """
    named = _protocol(protocol)
    check_references(hypotheses, references)
    tokenizer = _Remembering(named.words)
    scorer = RougeScorer([kind for kind, _ in named.orders.values()], tokenizer=tokenizer)
    measure, combine = MEASURES[named.measure], REFERENCES[named.references]
    rows = []

    def ready(text: str) -> str:
        """Cut, with a line for each sentence."""
        lines = text if named.separator is None else text.replace(named.separator, "\n")
        return cut(lines, named.max_bytes)

    for output, *own in zip(hypotheses, *references, strict=True):
        given = [reference for reference in own if reference.strip()] or [""]
        matches = [
            _matches(scorer, tokenizer, named.orders, ready(reference), ready(output))
            for reference in given
        ]
        rows.append([combine([m[name] for m in matches], measure) for name in named.orders])
    return np.array(rows)


def cut(text: str, max_bytes: int | None) -> str:
    """The first ``max_bytes`` bytes of UTF-8, without a character that would be cut in two."""
    return text.encode()[:max_bytes].decode(errors="ignore")


def rouge_signature(protocol: Protocol, references: int, bootstrap: Bootstrap) -> str:
    """All that one must know to compute the same figures."""
    names = [name for name, known in PROTOCOLS.items() if known == protocol]
    parts = {
        "rouge": None,
        "protocol": names[0] if names else "own",
        "measure": protocol.measure,
        "stem": protocol.stemmer or "no",
        "cut": f"{protocol.max_bytes}bytes" if protocol.max_bytes else "no",
        "nrefs": references,
        "refs": protocol.references,
        "tok": protocol.tokenizer,
        **({"sentences": protocol.separator} if protocol.separator else {}),
        "agg": "mean",
        "bs": bootstrap.samples,
        "seed": bootstrap.seed,
        "conf": f"{100 * bootstrap.confidence:g}",
        "version": f"rouge-score-{version('rouge-score')}",
    }
    return "|".join(key if value is None else f"{key}:{value}" for key, value in parts.items())


class _Remembering(Tokenizer):
    """A tokenizer that caches the words of the last 64 texts."""

    def __init__(self, words: Callable[[str], list[str]]) -> None:
        self._words = lru_cache(maxsize=64)(words)

    def tokenize(self, text: str) -> list[str]:
        return self._words(text)


def _matches(
    scorer: RougeScorer,
    tokenizer: Tokenizer,
    orders: Mapping[str, tuple[str, int]],
    reference: str,
    output: str,
) -> dict[str, Matches]:
    """Matches of an output with one reference: rouge-score's recall times the reference's units."""
    lengths = len(tokenizer.tokenize(reference)), len(tokenizer.tokenize(output))
    scores = scorer.score(reference, output)
    found = {}
    for name, (kind, order) in orders.items():
        units = [max(length - order + 1, 0) for length in lengths]
        found[name] = Matches(round(scores[kind].recall * units[0]), *units)
    return found


def _protocol(protocol: str | Protocol) -> Protocol:
    if isinstance(protocol, Protocol):
        return protocol
    if protocol not in PROTOCOLS:
        raise ValueError(f"rouge: there is no protocol {protocol}; choose {', '.join(PROTOCOLS)}")
    return PROTOCOLS[protocol]
