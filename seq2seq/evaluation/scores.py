"""BLEU, chrF, chrF++ and TER by sacreBLEU, each with the signature that makes it reproducible."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypedDict

from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from seq2seq.evaluation.reference_sets import check_references
from seq2seq.evaluation.writing import DEFAULT


class Score(TypedDict):
    """A corpus score (0 to 100; for TER 0 is best, and it may exceed 100) and its signature."""

    score: float
    signature: str


#: Tokenizers with a package of their own, and our extra that installs it.
EXTRAS = {"ja-mecab": "ja", "ko-mecab": "ko"}

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
    tokenizer: str = DEFAULT,
) -> dict[str, Score]:
    """Score detokenized translations of a corpus, exactly as the command ``sacrebleu`` does.

    Args:
        hypotheses: one translation a sentence, detokenized.
        references: one list a *reference set*, each as long as ``hypotheses`` (sacreBLEU's
            convention: the usual single reference is ``[references]``). As for the command, an
            empty line is a reference without words, of several sets too.
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
    scores: dict[str, Score] = {}
    for name in metrics:
        metric = METRICS[name](tokenizer)
        score = float(metric.corpus_score(hypotheses, references).score)
        scores[name] = {"score": score, "signature": str(metric.get_signature())}
    return scores


def check_tokenizer(name: str) -> None:
    """Refuse a name that sacreBLEU has no tokenizer of.

    Raises:
        ValueError: naming those there are.
    """
    if name not in BLEU.TOKENIZERS:
        raise ValueError(
            f"tokenizer={name} is none of sacreBLEU's; choose {', '.join(sorted(BLEU.TOKENIZERS))}"
        )


def load_tokenizer(name: str) -> Callable[[str], str]:
    """Load one of sacreBLEU's tokenizers; it returns words with blanks between them.

    Raises:
        ValueError: if its package is not installed, naming it.
    """
    check_tokenizer(name)
    try:
        return BLEU(tokenize=name, force=True).tokenizer
    except (ImportError, RuntimeError) as error:
        extra = EXTRAS.get(name)
        packages = f'pip install "seq2seq[{extra}]"' if extra else str(error).strip()
        raise ValueError(
            f"task.tokenizer={name}, which counts the words of BLEU, is not installed: {packages}; "
            "or count characters: task.tokenizer=char"
        ) from error


def tokenizer_in(signature: str) -> str:
    """Return the name of the tokenizer that a signature states: of ``ja-mecab-0.996-IPA`` too."""
    fields = dict(part.partition(":")[::2] for part in signature.split("|"))
    stated = fields.get("tok", DEFAULT)
    names = [name for name in BLEU.TOKENIZERS if f"{stated}-".startswith(f"{name}-")]
    return max(names, key=len, default=stated)
