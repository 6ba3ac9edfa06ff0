"""Textual entailment: does a premise entail a hypothesis, contradict it, or leave it open?"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from seq2seq.data.batch import Batch
from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.evaluation.attention_statistics import AttentionStatistics
from seq2seq.evaluation.classification import classification_scores
from seq2seq.evaluation.evaluation import AttentionMap, Evaluation
from seq2seq.evaluation.mapping_parameters import mapping_parameters
from seq2seq.evaluation.merging import merged
from seq2seq.evaluation.report import statistics_lines, value_lines
from seq2seq.models.attending import evaluating
from seq2seq.models.pair_classifier import Classification, PairClassifier
from seq2seq.nn.losses import SequenceLoss, SequenceLossOutput
from seq2seq.search import Search
from seq2seq.system.processes import ALONE, Group
from seq2seq.tasks.looking import Outcome
from seq2seq.tasks.pair_reading import class_probabilities, look_at_pairs, pair_maps, read
from seq2seq.tasks.pretrained import load_word_vectors
from seq2seq.tasks.task import Progress, Task, silent
from seq2seq.tasks.text_batches import text_batches

if TYPE_CHECKING:
    from datasets import Dataset
    from matplotlib.figure import Figure

    from seq2seq.data.parallel import ParallelData

logger = logging.getLogger(__name__)

LABELS = ("entailment", "neutral", "contradiction")
#: Label that `SequenceLoss` ignores. Entailment never uses it, so all examples count.
NO_CLASS = -1


class Entailment(Task):
    """Textual entailment: p(label | premise, hypothesis), scored by accuracy.

    Premise and hypothesis are the source and the target of the corpus. Its column `label` has the
    names of the classes.

    Args:
        labels: names of the classes, in the order of the model's scores. Checkpoints store them.
        embeddings: text file of pretrained word vectors (GloVe, word2vec, fastText's .vec) for the
            embeddings of a new model; None: random embeddings.
    """

    model_type = PairClassifier
    use = r"printf 'premise\thypothesis\n' | seq2seq-predict"
    pipeline = "text-classification"
    monitor = "accuracy"
    validation_scores = ("accuracy", "macro_f1")
    example_score = "accuracy"
    sides = ("premise", "hypothesis")
    labels: tuple[str, ...]

    def __init__(self, labels: Sequence[str] = LABELS, embeddings: str | Path | None = None):
        self.labels = tuple(map(str, labels))
        for label in self.labels:
            if not (label.strip() and label.isprintable()):
                raise ValueError(f"task.labels: {label!r:.80} is empty or has control characters")
        self.embeddings = embeddings

    def model_arguments(self, subwords: VocabularyPair) -> dict[str, Any]:
        """Return the size of the vocabulary, which both sentences share, and the classes."""
        return {
            "source_vocabulary_size": subwords.source.size,
            "target_vocabulary_size": subwords.target.size,
            "labels": list(self.labels),
        }

    def initialize(
        self, model: PairClassifier, subwords: VocabularyPair, *, cache: str | Path | None = None
    ) -> None:
        """Load pretrained vectors into the embeddings; warn if random embeddings are frozen.

        Raises:
            DataError: if the vocabulary is not a word vocabulary, or the file does not fit.
            ValueError: if the model's embeddings have another size, or stay random and frozen.
        """
        if self.embeddings is None:
            if not model.embedding.table.weight.requires_grad:
                logger.warning(
                    "the word vectors are random and training does not change them "
                    "(model.freeze_embeddings=true, task.embeddings=null). Load pretrained vectors "
                    "with task.embeddings=FILE, or train them with model.freeze_embeddings=false"
                )
            return
        load_word_vectors(
            model.embedding, subwords.source, self.embeddings, "task.embeddings", cache
        )

    def choices(self, subwords: VocabularyPair) -> int:
        """See the base class."""
        return len(self.labels)

    def loss(
        self, model: PairClassifier, batch: Batch, criterion: SequenceLoss
    ) -> SequenceLossOutput:
        """See the base class; each example is one term.

        Raises:
            ValueError: if the loss has a term that only tasks that write text support.
        """
        if criterion.reads_attention:
            raise ValueError(
                "loss.coverage is only for tasks that write text; set loss.coverage=0 for "
                "task=entailment"
            )
        if criterion.r_drop:
            raise ValueError(
                "loss.r_drop is only for tasks that write text; set loss.r_drop=0 for "
                "task=entailment"
            )
        classes = SequenceLoss(criterion.label_smoothing, ignore_index=NO_CLASS)
        return _loss(classes, model, read(model, batch), batch)

    def evaluate(
        self,
        model: PairClassifier,
        data: ParallelData,
        split: str,
        *,
        search: Search | None = None,
        sentences: int | None = None,
        batch_tokens: int = 4096,
        attention: bool = True,
        scores: Iterable[str] | None = None,
        device: torch.device | str = "cpu",
        progress: Progress = silent,
        group: Group = ALONE,
    ) -> Evaluation:
        """See the base class; ignores ``search`` and ``scores``, and computes all scores."""
        texts = data.split(split, sentences)
        probabilities = torch.zeros(len(texts), len(self.labels))
        statistics: dict[str, AttentionStatistics] = {}
        criterion, total = SequenceLoss(ignore_index=NO_CLASS), 0.0
        loader = data.loader(split, tokens=batch_tokens, sentences=sentences, group=group)
        with evaluating(model):
            for batch in progress(loader):
                batch = batch.to(device)
                result = read(model, batch, return_attention=attention)
                total += float(_loss(criterion, model, result, batch).loss_sum)
                probabilities[batch.indices.cpu()] = class_probabilities(model, result).cpu()
                _update(statistics, model, result, batch)
        if group.size > 1:
            parts = group.gathered((total, probabilities, statistics))
            total = sum(part[0] for part in parts)
            # Each row comes from one process and is 0 in the others, so the sum collects them.
            probabilities = torch.stack([part[1] for part in parts]).sum(0)
            collected = [part[2] for part in parts]
            names = dict.fromkeys(name for part in collected for name in part)
            union = {name: merged(part.get(name) for part in collected) for name in names}
            statistics = {name: whole for name, whole in union.items() if whole is not None}
        numbers = data.encoded(split).labels
        assert numbers is not None
        gold = [self.labels[i] for i in numbers[: len(texts)].tolist()]
        predicted = [self.labels[i] for i in probabilities.argmax(1).tolist()]
        metrics: dict[str, Any] = {
            "loss": total / max(len(texts), 1),
            **classification_scores(
                gold, predicted, self.labels, unlabeled=data.unlabeled.get(split, 0)
            ),
            **{name: entry.summary() for name, entry in statistics.items()},
        }
        if parameters := mapping_parameters(model):
            metrics["mapping"] = parameters
        columns = ("premise", "hypothesis", "label", "predicted")
        rows = zip(texts["source"], texts["target"], gold, predicted, strict=True)
        examples = [dict(zip(columns, row, strict=True)) for row in rows]
        right = self.answer_scores(predicted, [gold])
        return Evaluation(
            metrics,
            examples,
            {
                "predictions.tsv": self._table(examples, probabilities),
                "example_scores.jsonl": value_lines({"accuracy": right}),
                **{
                    f"{k}.csv": statistics_lines(entry.records()) for k, entry in statistics.items()
                },
            },
            {"confusion": lambda: _confusion(metrics["f1"])},
        )

    def _table(self, examples: Sequence[Mapping[str, str]], probabilities: Tensor) -> list[str]:
        """Return a header, then a line per pair: predicted and gold label, probabilities, texts."""
        lines = ["\t".join(["predicted", "label", *self.labels, "premise", "hypothesis"])]
        for example, row in zip(examples, probabilities.tolist(), strict=True):
            texts = [" ".join(example[side].split("\t")) for side in ("premise", "hypothesis")]
            numbers = (f"{p:.6f}" for p in row)
            lines.append("\t".join([example["predicted"], example["label"], *numbers, *texts]))
        return lines

    def attention_maps(
        self,
        model: PairClassifier,
        data: ParallelData,
        split: str,
        number: int,
        device: torch.device | str = "cpu",
    ) -> Iterator[AttentionMap]:
        """See the base class; from the words of the hypothesis, or its whole, to the premise."""
        return pair_maps(model, data, split, number, device)

    def look(
        self,
        model: PairClassifier,
        subwords: VocabularyPair,
        sources: Sequence[str],
        references: Sequence[str] | None,
        *,
        search: Search | None = None,
        batch_tokens: int = 4096,
        max_length: int = 512,
        device: torch.device | str = "cpu",
    ) -> list[Outcome]:
        """See the base class; the references are hypotheses, and the answers are labels."""
        if references is None:
            raise ValueError("entailment needs two sentences: add a hypothesis to the premise")
        return look_at_pairs(
            model,
            subwords,
            sources,
            references,
            batch_tokens=batch_tokens,
            max_length=max_length,
            device=device,
        )

    def right_answers(self, texts: Dataset) -> list[list[str]]:
        """Return the labels as the task spells them."""
        # This imports pyarrow, which answering a single question does not need.
        from seq2seq.data.labels import label_ids

        return [[self.labels[i] for i in label_ids(texts, self.labels, "shown")]]

    def answer_scores(self, answers: Sequence[str], right: Sequence[Sequence[str]]) -> list[float]:
        """Return 100 for each correct answer and 0 for each wrong one."""
        (labels,) = right
        return [100.0 * (a == b) for a, b in zip(answers, labels, strict=True)]

    def predict(
        self,
        model: PairClassifier,
        subwords: VocabularyPair,
        pairs: Sequence[tuple[str, str]],
        *,
        batch_tokens: int = 4096,
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Return the probability of each class, ``[pair, class]``, in the order of ``labels``.

        Args:
            model: the model, in evaluation mode.
            subwords: the vocabulary.
            pairs: premise and hypothesis of each pair.
            batch_tokens: maximum number of subwords in a batch, including padding.
            device: device of ``model``.
        """
        probabilities = torch.zeros(len(pairs), len(self.labels))
        if pairs:
            premises, hypotheses = zip(*pairs, strict=True)
            with torch.inference_mode():
                for batch in text_batches(model, subwords, premises, hypotheses, batch_tokens):
                    result = read(model, batch.to(device))
                    probabilities[batch.indices] = class_probabilities(model, result).cpu()
        return probabilities


def _loss(
    criterion: SequenceLoss, model: PairClassifier, result: Classification, batch: Batch
) -> SequenceLossOutput:
    assert batch.labels is not None
    return criterion(result.logits[:, None], batch.labels[:, None], model.output_mapping)


def _update(
    statistics: dict[str, AttentionStatistics],
    model: PairClassifier,
    result: Classification,
    batch: Batch,
) -> None:
    """Add the attention of a batch: from the hypothesis, and from the premise if it attends too."""
    mappings = model.attention_mappings()
    if result.attention is not None:
        # Some models have a single query for the whole hypothesis.
        whole = batch.target_mask[:, :1]
        queries = batch.target_mask if result.attention.size(3) > 1 else whole
        _entry(statistics, "attention", result.attention, mappings["cross"][0].omega.pools).update(
            result.attention, batch.source_mask, queries
        )
    if result.reverse is not None:
        _entry(
            statistics, "attention_reverse", result.reverse, mappings["reverse"][0].omega.pools
        ).update(result.reverse, batch.target_mask, batch.source_mask)


def _entry(
    statistics: dict[str, AttentionStatistics], name: str, attention: Tensor, pools: str
) -> AttentionStatistics:
    layers, heads = attention.shape[1:3]
    return statistics.setdefault(name, AttentionStatistics(layers, heads, pools=pools))


def _confusion(scores: Any) -> Figure:
    """Draw the confusion matrix; importing matplotlib takes half a second, so only on request."""
    from seq2seq.evaluation.figures import confusion_heat_map

    return confusion_heat_map(scores)
