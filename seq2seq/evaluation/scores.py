"""BLEU, chrF, chrF++ and TER by sacreBLEU, with its signatures."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypedDict

from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from seq2seq.evaluation.reference_sets import check_references
from seq2seq.evaluation.writing_systems import DEFAULT


class Score(TypedDict):
    """A corpus score from 0 to 100 and its signature; TER may exceed 100, and 0 is best."""

    score: float
    signature: str


#: Tokenizers that need another package, and our extra that installs it.
EXTRAS = {"ja-mecab": "ja", "ko-mecab": "ko"}

METRICS: Mapping[str, Callable[[str], Metric]] = {
    # `force` disables a warning about tokenized texts, which may be intended.
    "bleu": lambda tokenizer: BLEU(tokenize=tokenizer, force=True),
    "chrf": lambda _: CHRF(),
    "chrf++": lambda _: CHRF(word_order=2),
    "ter": lambda _: TER(),
}
"""sacreBLEU's metrics with its defaults, as the command ``sacrebleu`` computes them.

``chrf`` is chrF2 (character 6-grams, no word n-grams, β = 2). ``chrf++`` is chrF2++, which adds
word unigrams and bigrams (``--chrf-word-order 2``). The argument is BLEU's tokenizer; the other
metrics have none.
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
        hypotheses: one detokenized translation per sentence.
        references: one list per *reference set*, each as long as ``hypotheses``. A single
            reference per sentence is ``[references]``, as in sacreBLEU. An empty line counts as a
            reference without words, also with several sets, as in the command.
        metrics: which of ``METRICS`` to compute; TER takes most of the time.
        tokenizer: sacreBLEU's tokenizer for BLEU: ``13a``, ``zh``, ``ja-mecab``, ``intl``, …

    Returns:
        ``{"bleu": {"score": …, "signature": …}, "chrf": …, …}`` with unrounded scores.
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
    """Raise `ValueError` if sacreBLEU has no tokenizer of this name.

    Raises:
        ValueError: the message lists the tokenizers.
    """
    if name not in BLEU.TOKENIZERS:
        raise ValueError(
            f"tokenizer={name} is not a tokenizer of sacreBLEU; choose "
            f"{', '.join(sorted(BLEU.TOKENIZERS))}"
        )


def load_tokenizer(name: str) -> Callable[[str], str]:
    """Load a tokenizer of sacreBLEU, which returns the words of a text separated by blanks.

    Raises:
        ValueError: if its package is not installed; the message names the package.
    """
    check_tokenizer(name)
    try:
        return BLEU(tokenize=name, force=True).tokenizer
    except (ImportError, RuntimeError) as error:
        extra = EXTRAS.get(name)
        packages = f'pip install "sacrebleu[{extra}]"' if extra else str(error).strip()
        raise ValueError(
            f"task.tokenizer={name}, BLEU's tokenizer, is not installed: {packages}; "
            "or score characters with task.tokenizer=char"
        ) from error


def tokenizer_in(signature: str) -> str:
    """Return the tokenizer's name in a signature, without a version as in ``ja-mecab-0.996``."""
    fields = dict(part.partition(":")[::2] for part in signature.split("|"))
    stated = fields.get("tok", DEFAULT)
    names = [name for name in BLEU.TOKENIZERS if f"{stated}-".startswith(f"{name}-")]
    return max(names, key=len, default=stated)
