"""Translation: sentences in, sentences of another language out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from seq2seq.evaluation.scores import METRICS, translation_scores
from seq2seq.tasks.generation import Generation


class Translation(Generation):
    """Scored by BLEU, chrF and TER, as sacreBLEU computes them."""

    monitor = "bleu"
    validation_scores = ("bleu", "chrf")  # TER takes longer than all the rest
    example_score = "chrf"  # which single sentences are long enough for
    lower_is_better = (*Generation.lower_is_better, "ter")

    def scores(
        self,
        hypotheses: Sequence[str],
        references: Sequence[Sequence[str]],
        names: Iterable[str] | None = None,
    ) -> dict[str, Any]:
        """See the base class; the texts are detokenized."""
        return {**translation_scores(hypotheses, references, tuple(names or METRICS))}
