"""BLEU, chrF and TER by sacreBLEU, each with the signature that makes it reproducible."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypedDict

from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER


class Score(TypedDict):
    """A corpus score (0 to 100; for TER 0 is best, and it may exceed 100) and its signature."""

    score: float
    signature: str


METRICS: Mapping[str, Callable[[], Metric]] = {
    "bleu": partial(BLEU, force=True),  # no warning where the texts are tokenized on purpose
    "chrf": CHRF,
    "ter": TER,
}
"""sacreBLEU's metrics with sacreBLEU's defaults, as the command ``sacrebleu`` computes them.

``chrf`` is chrF2 (character 6-grams, no word n-grams, β = 2), not chrF++.
"""


def translation_scores(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    metrics: Sequence[str] = tuple(METRICS),
) -> dict[str, Score]:
    """Score detokenized translations of a corpus, exactly as the command ``sacrebleu`` does.

    Args:
        hypotheses: one translation a sentence, detokenized.
        references: one list a *reference set*, each as long as ``hypotheses`` (sacreBLEU's
            convention: the usual single reference is ``[references]``).
        metrics: which of ``METRICS`` to compute; TER takes most of the time.

    Returns:
        ``{"bleu": {"score": …, "signature": …}, "chrf": …, "ter": …}``, scores unrounded.
    """
    _check(hypotheses, references)
    unknown = [name for name in metrics if name not in METRICS]
    if unknown:
        raise ValueError(f"metrics: unknown {unknown}; choose from {sorted(METRICS)}")
    scores: dict[str, Score] = {}
    for name in metrics:
        metric = METRICS[name]()
        score = float(metric.corpus_score(hypotheses, references).score)
        scores[name] = {"score": score, "signature": str(metric.get_signature())}
    return scores


def _check(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    if isinstance(hypotheses, str) or any(isinstance(lines, str) for lines in references):
        raise TypeError(
            "translation_scores takes a list of hypotheses and a list of reference lists; "
            "wrap a single reference set in a list: translation_scores(hypotheses, [references])"
        )
    if not hypotheses:
        raise ValueError("hypotheses: empty, there is nothing to score")
    if not references:
        raise ValueError("references: no reference set; give at least one list of references")
    for number, lines in enumerate(references):
        if len(lines) != len(hypotheses):
            raise ValueError(
                f"references[{number}] holds {len(lines):,} lines, hypotheses {len(hypotheses):,}; "
                "they must be parallel, one reference a hypothesis"
            )
