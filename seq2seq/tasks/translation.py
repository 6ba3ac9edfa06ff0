"""Translation of sentences into another language."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from seq2seq.evaluation.scores import (
    METRICS,
    check_tokenizer,
    load_tokenizer,
    translation_scores,
)
from seq2seq.evaluation.writing_systems import DEFAULT, fitting_tokenizer, warn_of_few_words
from seq2seq.tasks.generation import Generation

logger = logging.getLogger(__name__)


class Translation(Generation):
    """Translation, scored by sacreBLEU's BLEU, chrF, chrF++ and TER.

    Args:
        tokenizer: sacreBLEU's tokenizer for BLEU: ``13a``, ``zh``, ``ja-mecab``, ``char``, …; None:
            sacreBLEU's tokenizer for the target language, chosen by language code or by script.
        source_embeddings: see the base class.
        target_embeddings: see the base class.
    """

    pipeline = "translation"
    monitor = "bleu"
    validation_scores = ("bleu", "chrf")  # TER takes longer than all the others
    example_score = "chrf"  # BLEU needs more than a single sentence
    lower_is_better = (*Generation.lower_is_better, "ter")

    def __init__(
        self,
        tokenizer: str | None = None,
        source_embeddings: str | Path | None = None,
        target_embeddings: str | Path | None = None,
    ) -> None:
        super().__init__(source_embeddings, target_embeddings)
        if tokenizer is not None:
            check_tokenizer(tokenizer)
        self.tokenizer = tokenizer

    def fit_language(self, language: str, lines: Sequence[str]) -> None:
        """See the base class; chooses and loads BLEU's tokenizer."""
        if self.tokenizer is None:
            self.tokenizer = fitting_tokenizer(language, lines)
            if self.tokenizer != DEFAULT:
                logger.info("BLEU uses sacreBLEU's tokenizer %s", self.tokenizer)
        tokenize = load_tokenizer(self.tokenizer)
        warn_of_few_words(
            lines,
            lambda line: tokenize(line).split(),
            f"BLEU's tokenizer {self.tokenizer}",
            "set task.tokenizer=char (or zh, ja-mecab, …), or validation.monitor=chrf",
        )

    def scores(
        self,
        hypotheses: Sequence[str],
        references: Sequence[Sequence[str]],
        names: Iterable[str] | None = None,
    ) -> dict[str, Any]:
        """See the base class; expects detokenized texts."""
        wanted = tuple(names or METRICS)
        if self.tokenizer is None and "bleu" in wanted:
            self.fit_language("", references[0] if references else [])
        tokenizer = self.tokenizer or DEFAULT
        return {**translation_scores(hypotheses, references, wanted, tokenizer=tokenizer)}
