"""Summarization of a sentence by a headline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq.data.corpora.corpus import references
from seq2seq.evaluation.evaluation import Evaluation
from seq2seq.evaluation.novelty import output_summary
from seq2seq.evaluation.rouge import ORDERS, PROTOCOLS, Protocol, rouge_scores, sentence_rouge
from seq2seq.evaluation.writing_systems import warn_of_few_words
from seq2seq.tasks.generation import Generation

if TYPE_CHECKING:
    from seq2seq.data.parallel import ParallelData


class Summarization(Generation):
    """Sentence summarization, scored by ROUGE and compared with the lead baseline.

    The lead baseline copies the beginning of the sentence.

    Args:
        rouge: protocol by which outputs are scored.
        lead_words: number of words of the lead. If the protocol cuts outputs, it cuts the whole
            sentence instead.
        source_embeddings: see the base class.
        target_embeddings: see the base class.
    """

    pipeline = "summarization"
    monitor = "rouge_l"
    validation_scores = tuple(ORDERS)
    example_score = "rouge_l"

    def __init__(
        self,
        rouge: Protocol = PROTOCOLS["unicode"],
        lead_words: int = 8,
        source_embeddings: str | Path | None = None,
        target_embeddings: str | Path | None = None,
    ) -> None:
        super().__init__(source_embeddings, target_embeddings)
        if lead_words < 1:
            raise ValueError(f"task.lead_words={lead_words} must be at least 1")
        self.rouge, self.lead_words = rouge, lead_words

    def fit_language(self, language: str, lines: Sequence[str]) -> None:
        """See the base class; only warns, because the protocol fixes the tokenizer."""
        warn_of_few_words(
            lines,
            self.rouge.words,
            f"ROUGE's tokenizer {self.rouge.tokenizer}",
            "set task.rouge.tokenizer=unicode",
        )

    def scores(
        self,
        hypotheses: Sequence[str],
        references: Sequence[Sequence[str]],
        names: Iterable[str] | None = None,
    ) -> dict[str, Any]:
        """See the base class; ROUGE-1, ROUGE-2, ROUGE-L with 95 % confidence intervals."""
        scores = rouge_scores(hypotheses, references, self.rouge)
        return {name: scores[name] for name in (names or scores)}

    def example_scores(
        self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]
    ) -> dict[str, Sequence[float]]:
        """See the base class; the values are in percent."""
        values = 100 * sentence_rouge(hypotheses, references, self.rouge)
        return {name: values[:, k].tolist() for k, name in enumerate(self.rouge.orders)}

    def lead(self, source: str) -> str:
        """Return the lead baseline's output for a sentence."""
        if self.rouge.max_bytes is not None:
            return source
        return " ".join(source.split()[: self.lead_words])

    def evaluate(
        self,
        model: Any,
        data: ParallelData,
        split: str,
        *,
        scores: Iterable[str] | None = None,
        **options: Any,
    ) -> Evaluation:
        """See the base class.

        The metrics also have ``output``, with the length and the novelty of the outputs. If all
        scores are computed (not in a validation), they include the scores of the lead.
        """
        evaluation = super().evaluate(model, data, split, scores=scores, **options)
        hypotheses, first_references, sources = (
            [example[name] for example in evaluation.examples]
            for name in ("hypothesis", "reference", "source")
        )
        metrics = dict(evaluation.metrics)
        if scores is None:
            sets = references(data.split(split, len(sources)))
            cut = self.rouge.max_bytes
            name = f"lead-{self.lead_words}" if cut is None else f"lead-{cut}-bytes"
            metrics[name] = self.scores([self.lead(source) for source in sources], sets)
        metrics["output"] = {"overall": output_summary(hypotheses, first_references, sources)}
        return Evaluation(metrics, evaluation.examples, evaluation.outputs)
