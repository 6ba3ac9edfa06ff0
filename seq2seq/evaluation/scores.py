"""BLEU, chrF, chrF++ and TER by sacreBLEU, each with the signature that makes it reproducible."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypedDict

from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from seq2seq.evaluation.reference_sets import check_references, without_lacking


class Score(TypedDict):
    """A corpus score (0 to 100; for TER 0 is best, and it may exceed 100) and its signature."""

    score: float
    signature: str


METRICS: Mapping[str, Callable[[str], Metric]] = {
    # force: no warning where the texts are tokenized on purpose
    "bleu": lambda tokenizer: BLEU(tokenize=tokenizer, force=True),
    "chrf": lambda _: CHRF(),
    "chrf++": lambda _: CHRF(word_order=2),
    "ter": lambda _: TER(),
}
"""sacreBLEU's metrics with sacreBLEU's defaults, as the command ``sacrebleu`` computes them.

``chrf`` is chrF2 (character 6-grams, no word n-grams, β = 2); ``chrf++`` is chrF2++ (word unigrams
and bigrams too, ``--chrf-word-order 2``). Built with the tokenizer that BLEU counts words of; the
others have none to choose.
"""


def translation_scores(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    metrics: Sequence[str] = tuple(METRICS),
    *,
    tokenizer: str = "13a",
) -> dict[str, Score]:
    """Score detokenized translations of a corpus, exactly as the command ``sacrebleu`` does.

    Args:
        hypotheses: one translation a sentence, detokenized.
        references: one list a *reference set*, each as long as ``hypotheses`` (sacreBLEU's
            convention: the usual single reference is ``[references]``). Of several sets, an empty
            line is a reference that its sentence lacks; the signature then says ``nrefs:var``.
        metrics: which of ``METRICS`` to compute; TER takes most of the time.
        tokenizer: sacreBLEU's, of BLEU: ``13a``, ``zh``, ``ja-mecab``, ``intl``, …

    Returns:
        ``{"bleu": {"score": …, "signature": …}, "chrf": …, …}``, scores unrounded.
    """
    check_references(hypotheses, references)
    unknown = [name for name in metrics if name not in METRICS]
    if unknown:
        raise ValueError(f"metrics: unknown {unknown}; choose from {sorted(METRICS)}")
    check_tokenizer(tokenizer)
    present = without_lacking(references)
    scores: dict[str, Score] = {}
    for name in metrics:
        metric = METRICS[name](tokenizer)
        score = float(metric.corpus_score(hypotheses, present).score)
        scores[name] = {"score": score, "signature": str(metric.get_signature())}
    return scores


def check_tokenizer(name: str) -> None:
    """Refuse what sacreBLEU has no tokenizer for.

    Raises:
        ValueError: naming those there are.
    """
    if name not in BLEU.TOKENIZERS:
        raise ValueError(
            f"tokenizer={name} is none of sacreBLEU's; choose {', '.join(sorted(BLEU.TOKENIZERS))}"
        )
