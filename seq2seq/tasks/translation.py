"""Translation: sentences in, sentences of another language out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from seq2seq.evaluation.scores import METRICS, check_tokenizer, translation_scores
from seq2seq.tasks.generation import Generation


class Translation(Generation):
    """Scored by BLEU, chrF, chrF++ and TER, as sacreBLEU computes them.

    Args:
        tokenizer: sacreBLEU's, for BLEU: ``13a``, or ``zh``, ``ja-mecab``, ``ko-mecab`` into
            languages without spaces between words.
    """

    monitor = "bleu"
    validation_scores = ("bleu", "chrf")  # TER takes longer than all the rest
    example_score = "chrf"  # which single sentences are long enough for
    lower_is_better = (*Generation.lower_is_better, "ter")

    def __init__(self, tokenizer: str = "13a") -> None:
        check_tokenizer(tokenizer)
        self.tokenizer = tokenizer

    def scores(
        self,
        hypotheses: Sequence[str],
        references: Sequence[Sequence[str]],
        names: Iterable[str] | None = None,
    ) -> dict[str, Any]:
        """See the base class; the texts are detokenized."""
        wanted = tuple(names or METRICS)
        return {**translation_scores(hypotheses, references, wanted, tokenizer=self.tokenizer)}
