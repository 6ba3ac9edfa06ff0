r"""ROUGE-1, ROUGE-2 and ROUGE-L (Lin 2004), for any language and by the protocols of papers.

The package rouge-score counts the matches. ROUGE-1.5.5 is the Perl program behind most published
figures; statements about it here follow its source code.

=============  ==========  =====================  ========  =====================================
protocol       measure     output and reference   stemming  words
=============  ==========  =====================  ========  =====================================
``unicode``    F1          whole                  no        letters and digits of any script
``gigaword``   F1          whole                  no        a–z and digits, as ROUGE-1.5.5
``pyrouge``    F1          whole                  yes       a–z and digits, as ROUGE-1.5.5
``duc``        recall      first 75 bytes         yes       a–z and digits, as ROUGE-1.5.5
=============  ==========  =====================  ========  =====================================

Published tables use these protocols:

- ``duc``: Rush et al. 2015 and papers that use their ``DUC/eval.sh``, which calls ROUGE-1.5.5 with
  ``-m -n 2 -w 1.2 -b 75``.
- ``pyrouge``: scores from the package pyrouge, which adds ``-m`` (stemming) by default, or from
  files2rouge, which calls it. files2rouge stems by default, except between March and July 2020.
- ``gigaword``: F1 without stemming, ROUGE-1.5.5 without ``-m``. A Gigaword table that does not name
  its program may use either of the last two; stemming can add a point.

Details:

- **Words** with ``tok:rouge`` are runs of the letters a–z and digits in the lower-cased text; all
  other characters separate words. So ``#.#`` and ``,`` are ignored. ``<unk>`` and ``UNK`` are the
  word ``unk``, which matches like any other, and ``-lrb-`` is ``lrb``. Published figures count in
  this way. Other alphabets have no words at all. ``tok:unicode`` uses letters and digits of any
  script, and single characters of scripts without blanks, such as Chinese or Thai. For ASCII text
  it equals ``tok:rouge``. ``tok:whitespace`` splits at blanks and changes nothing else.
- **Bytes** are UTF-8 bytes. A character is never cut. A word may be cut, and the rest of it counts
  as a word. ROUGE-1.5.5 does the same with ``-b``, which cuts the references too.
- **Several references** (``refs``): ``pooled``, ROUGE-1.5.5's default (``-f A``), divides the
  matches with all references by the words of all. ``best`` takes the reference with the largest
  value, like rouge-score's ``score_multi`` and ``-f B``. ``jackknife`` (Lin 2004) leaves out each
  reference in turn and averages the best values; only ROUGE before version 1.4 did this.
- **Sentences**: for ROUGE-L, a text is one sentence. A protocol with a ``separator`` also has
  ``rouge_lsum``, rouge-score's ``rougeLsum``: the ROUGE-L of summaries of several sentences.
- **Stemming** (``stem:porter``) is Porter's original algorithm for words of more than three
  letters, as in ROUGE-1.5.5. It lacks ROUGE-1.5.5's list of exceptions from WordNet, so `went`
  stays `went`. ``stem:nltk`` is NLTK's extended variant, used by rouge-score's
  ``use_stemmer=True``. It stems words such as `flies` or `lying` differently.
- **The score** is the mean over examples, and its **interval** comes from the percentile bootstrap.
  ROUGE-1.5.5 prints the mean of its bootstrap means instead, which differs by some hundredths.

This was checked on the 500 sentences of DUC 2004 task 1, cut at 75 bytes and used as outputs. The
recall of each example equals that of ROUGE-1.5.5 in all five printed decimals, for all three scores
and for both ``-f A`` and ``-f B``.
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
from seq2seq.evaluation.writing_systems import unicode_words

ORDERS = {"rouge_1": ("rouge1", 1), "rouge_2": ("rouge2", 2), "rouge_l": ("rougeL", 1)}
"""For each of our score names: rouge-score's name, and the number of words in a counted unit."""
SUMMARY_LEVEL = {"rouge_lsum": ("rougeLsum", 1)}
"""The score of texts of several sentences, for protocols with a ``separator``."""


class Matches(NamedTuple):
    """Matching units of an output and a reference, and the number of units of each."""

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
    """Return the measure of the sums over references."""
    return measure(Matches(*map(sum, zip(*matches, strict=True))))


def best(matches: Sequence[Matches], measure: Callable[[Matches], float]) -> float:
    """Return the largest value over references."""
    return max(map(measure, matches))


def jackknife(matches: Sequence[Matches], measure: Callable[[Matches], float]) -> float:
    """Leave out each reference in turn; return the mean of the largest values over the others.

    With a single reference, return its value.
    """
    values = [measure(match) for match in matches]
    if len(values) == 1:
        return values[0]
    return sum(max(values[:k] + values[k + 1 :]) for k in range(len(values))) / len(values)


REFERENCES = {"pooled": pooled, "best": best, "jackknife": jackknife}


#: Functions that split a text into words, before stemming.
TOKENIZERS: Mapping[str, Callable[[str], list[str]]] = {
    "unicode": unicode_words,
    "rouge": lambda text: rouge_words(text, None),
    "whitespace": str.split,
}
#: Modes of NLTK's stemmer: Porter's published algorithm, and NLTK's variant.
STEMMERS = {
    "porter": PorterStemmer.ORIGINAL_ALGORITHM,
    "nltk": PorterStemmer.NLTK_EXTENSIONS,
}
LONGEST_UNSTEMMED = 3  # in letters


@dataclass(frozen=True)
class Protocol:
    """Protocol of ROUGE; the defaults are those of ``unicode``.

    Attributes:
        measure: ``f1``, ``recall`` or ``precision``.
        stem: False, True (the same as ``porter``) or one of ``STEMMERS``. Only ASCII words are
            stemmed. Not available with ``tokenizer: whitespace``.
        max_bytes: number of bytes after which outputs and references are cut; None: not cut.
        references: ``pooled``, ``best`` or ``jackknife``.
        tokenizer: one of ``TOKENIZERS``.
        separator: string between the sentences of a text, such as ``<q>``. It adds the score
            ``rouge_lsum``, the ROUGE-L of summaries (ROUGE-1.5.5 with one sentence per line). None:
            a text is one sentence.
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
                raise ValueError(
                    f"rouge: {name}={getattr(self, name)} is unknown; choose {', '.join(known)}"
                )
        if self.max_bytes is not None and self.max_bytes < 1:
            raise ValueError(
                f"rouge: max_bytes={self.max_bytes} must be at least 1; to cut nothing, use null"
            )
        if self.separator is not None and not self.separator.strip():
            raise ValueError(
                f"rouge: separator={self.separator!r} is blank; set it to the string between "
                "sentences, or to null"
            )
        if not isinstance(self.stem, bool) and self.stem not in STEMMERS:
            raise ValueError(
                f"rouge: stem={self.stem} is unknown; choose true, false, {', '.join(STEMMERS)}"
            )
        if self.stem and self.tokenizer == "whitespace":
            raise ValueError(
                "rouge: stem does not work with tokenizer=whitespace; set tokenizer=rouge or "
                "unicode, or stem=false"
            )

    @property
    def orders(self) -> dict[str, tuple[str, int]]:
        """The scores of this protocol, in the format of ``ORDERS``."""
        return ORDERS if self.separator is None else {**ORDERS, **SUMMARY_LEVEL}

    @property
    def stemmer(self) -> str | None:
        """Name of the stemmer, one of ``STEMMERS``; None without stemming."""
        return "porter" if self.stem is True else self.stem or None

    @property
    def words(self) -> Callable[[str], list[str]]:
        """The function that splits a text into words, stemmed if the protocol stems."""
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
    """A mean over examples (0 to 100), its confidence interval and its signature."""

    score: float
    interval: tuple[float, float]
    signature: str


@dataclass(frozen=True)
class Bootstrap:
    """Percentile bootstrap of a mean: number of samples, seed and confidence level."""

    samples: int = 1000
    seed: int = 12345
    confidence: float = 0.95

    def intervals(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the interval ends ``[2, scores]`` of the means of ``values`` [examples, scores].

        All scores use the same random samples.
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
    """Compute ROUGE-1, ROUGE-2 and ROUGE-L of a corpus: means over examples, in percent.

    Args:
        hypotheses: one output per example.
        references: one list per reference set, each as long as ``hypotheses``. An empty line means
            that the example has no reference in this set.
        protocol: a name in ``PROTOCOLS``, or your own protocol.
        bootstrap: bootstrap for the confidence intervals; None: ``Bootstrap()``.

    Returns:
        ``{"rouge_1": {"score": …, "interval": (…, …), "signature": …}, "rouge_2": …, …}``

    Raises:
        ValueError: if the protocol is unknown, ``hypotheses`` is empty, or lengths differ.
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
    """Compute ROUGE-1, ROUGE-2 and ROUGE-L of each example, from 0 to 1, ``[examples, scores]``.

    A protocol with a separator has a fourth score, ``rouge_lsum``.
    """
    named = _protocol(protocol)
    check_references(hypotheses, references)
    tokenizer = _CachedTokenizer(named.words)
    scorer = RougeScorer([kind for kind, _ in named.orders.values()], tokenizer=tokenizer)
    measure, combine = MEASURES[named.measure], REFERENCES[named.references]
    rows = []

    def prepared(text: str) -> str:
        """Put each sentence on its own line and cut the text."""
        lines = text if named.separator is None else text.replace(named.separator, "\n")
        return cut(lines, named.max_bytes)

    for output, *own in zip(hypotheses, *references, strict=True):
        present = [reference for reference in own if reference.strip()] or [""]
        matches = [
            _matches(scorer, tokenizer, named.orders, prepared(reference), prepared(output))
            for reference in present
        ]
        rows.append([combine([m[name] for m in matches], measure) for name in named.orders])
    return np.array(rows)


def cut(text: str, max_bytes: int | None) -> str:
    """Return the first ``max_bytes`` bytes of UTF-8, dropping an incomplete last character."""
    return text.encode()[:max_bytes].decode(errors="ignore")


def rouge_signature(protocol: Protocol, references: int, bootstrap: Bootstrap) -> str:
    """Return the signature: everything that is needed to reproduce the scores."""
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


class _CachedTokenizer(Tokenizer):
    """Tokenizer that caches the words of the last 64 texts."""

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
    """Return the matches of an output with a reference, from rouge-score's recall.

    The number of matches is the recall times the number of units of the reference.
    """
    lengths = len(tokenizer.tokenize(reference)), len(tokenizer.tokenize(output))
    scores = scorer.score(reference, output)
    matches = {}
    for name, (kind, order) in orders.items():
        units = [max(length - order + 1, 0) for length in lengths]
        matches[name] = Matches(round(scores[kind].recall * units[0]), *units)
    return matches


def _protocol(protocol: str | Protocol) -> Protocol:
    if isinstance(protocol, Protocol):
        return protocol
    if protocol not in PROTOCOLS:
        raise ValueError(f"rouge: unknown protocol {protocol}; choose {', '.join(PROTOCOLS)}")
    return PROTOCOLS[protocol]
