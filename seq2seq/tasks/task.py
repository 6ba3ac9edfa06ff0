"""Base class of tasks: data → model arguments, batch → loss, split → scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn

from seq2seq.data.batch import Batch
from seq2seq.data.corpora.corpus import SIDES, Corpus, references
from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.data.words import Words
from seq2seq.evaluation.evaluation import AttentionMap, Evaluation
from seq2seq.evaluation.writing_systems import SAMPLE, warn_of_few_words
from seq2seq.nn.losses import SequenceLoss, SequenceLossOutput
from seq2seq.search import Search
from seq2seq.system.errors import DataError
from seq2seq.system.processes import ALONE, Group
from seq2seq.tasks.looking import Outcome

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

    from seq2seq.data.parallel import ParallelData

Progress = Callable[[Iterable[Batch]], Iterable[Batch]]


def silent(batches: Iterable[Batch]) -> Iterable[Batch]:
    """Return the batches unchanged, without showing progress."""
    return batches


class Task(ABC):
    """Base class of tasks, which define everything that training and evaluation do differently.

    To add a task, write a subclass here and a file in ``configs/task``. The file also chooses the
    corpus and the model.

    Attributes:
        model_type: class of the models that can do the task.
        monitor: default score by which the best checkpoint is chosen.
        validation_scores: scores of a validation; the final test may compute more.
        lower_is_better: measures that fall as a model improves.
        example_score: score by which single examples are compared.
        sides: names of the two texts of an example.
        use: command that uses a trained model; ``checkpoint=`` is appended.
        searches: whether the task writes text with a search; it is then a ``Generation``.
        pipeline: name of the task on the hub (``pipeline_tag``); None: it has none.
        labels: class names that the corpus's column `label` may contain; None: the column is not
            read.
    """

    model_type: ClassVar[type[nn.Module]]
    monitor: ClassVar[str]
    validation_scores: ClassVar[tuple[str, ...]]
    lower_is_better: ClassVar[tuple[str, ...]] = ("loss", "perplexity")
    example_score: ClassVar[str]
    sides: ClassVar[tuple[str, str]] = ("source", "reference")
    use: ClassVar[str]
    searches: ClassVar[bool] = False
    pipeline: ClassVar[str | None] = None
    labels: tuple[str, ...] | None = None

    @property
    def measured(self) -> tuple[str, ...]:
        """Return the names of what a validation measures, which ``validation.monitor`` may be."""
        return ("loss", *self.validation_scores)

    def prepare(
        self,
        corpus: Corpus,
        *,
        subwords: dict[str, Any] | None = None,
        filters: dict[str, Any] | None = None,
        limits: dict[str, int | None] | None = None,
        processes: int | None = None,
        validation_share: float | None = None,
        needed: Sequence[str] = (),
        cache: str | Path | None = None,
    ) -> ParallelData:
        """Return the corpus of a new run, with vocabularies built from its training split.

        Labels are checked too.
        """
        # `datasets` imports pandas, which takes a second; `seq2seq-translate` needs neither.
        from seq2seq.data.parallel import prepare
        from seq2seq.data.split_checks import warn_of_splits

        def check(texts: DatasetDict) -> None:
            self.check_texts(corpus, texts)
            warn_of_splits(texts)

        data = prepare(
            corpus,
            subwords=subwords,
            filters=filters,
            limits=limits,
            labels=self.labels,
            processes=processes,
            validation_share=validation_share,
            needed=needed,
            cache=cache,
            check=check,
        )
        _warn_of_long_words(data)
        return data

    def open(
        self,
        corpus: Corpus,
        subwords: VocabularyPair,
        *,
        cache: str | Path | None = None,
        scored: bool = True,
    ) -> ParallelData:
        """Load a corpus for a trained model, with the vocabularies of its checkpoint.

        Labels are checked when a split is read.

        Args:
            corpus: the corpus to load.
            subwords: vocabularies of the checkpoint.
            cache: folder in which ids are cached; None for the default folder.
            scored: whether outputs will be scored; if False, the scores' tokenizer is not loaded.
        """
        from seq2seq.data.parallel import ParallelData  # slow to import, as in `prepare`

        data = ParallelData(corpus, subwords, labels=self.labels, cache=cache)
        self.check_texts(corpus, data.texts, scored)
        return data

    def check_texts(  # noqa: B027
        self, corpus: Corpus, texts: DatasetDict, scored: bool = True
    ) -> None:
        """Raise an error or log a warning for a corpus that the task would misread.

        This is called before anything that takes long.

        Args:
            corpus: the corpus that the texts come from.
            texts: its splits.
            scored: whether outputs will be scored.

        Raises:
            ValueError: the message names the split.
        """

    @abstractmethod
    def model_arguments(self, subwords: VocabularyPair) -> dict[str, Any]:
        """Return the model arguments that depend on the data, such as vocabulary sizes."""

    @abstractmethod
    def choices(self, subwords: VocabularyPair) -> int:
        """Return the number of classes or tokens that each prediction chooses from."""

    def check_model(self, model: type[nn.Module]) -> None:
        """Raise `ValueError` if the model class cannot do this task.

        Raises:
            ValueError: the message names the model and the task.
        """
        if not issubclass(model, self.model_type):
            raise ValueError(
                f"model: {model.__name__} cannot do the task {type(self).__name__}, which needs a "
                f"model of the class {self.model_type.__name__}"
            )

    def check_split(
        self, model: Any, data: ParallelData, split: str, sentences: int | None = None
    ) -> None:
        """Refuse a split that cannot be evaluated, before anything is computed.

        Args:
            model: that is to read the split.
            data: the corpus with its vocabularies.
            split: name of the split.
            sentences: the first so many examples only.

        Raises:
            DataError: naming the split and the example, or the setting.
        """
        texts = data.split(split, sentences)
        if model.max_length is None:
            return
        encoded = data.encoded(split)
        for side in SIDES:
            lengths = getattr(encoded, side).lengths[: len(texts)] + 1  # with one end
            too_long = (lengths > model.max_length).nonzero()[0]
            if len(too_long):
                row = int(too_long[0])
                raise DataError(
                    f"data.{split}: {len(too_long):,} example(s) are longer than model.max_length="
                    f"{model.max_length} subwords, the end included; the first is example "
                    f"{row + 1:,}, whose {side} has {lengths[row]:,} ({texts[row][side]!r:.60}). "
                    f"Set model.max_length={lengths.max()}, or take them out"
                )

    def initialize(  # noqa: B027
        self, model: Any, subwords: VocabularyPair, *, cache: str | Path | None = None
    ) -> None:
        """Load pretrained weights into a new model; by default, leave it unchanged.

        Args:
            model: the model, with random initial weights.
            subwords: its vocabularies.
            cache: folder in which the pretrained weights are cached; None for the default folder.
        """

    @abstractmethod
    def loss(self, model: Any, batch: Batch, criterion: SequenceLoss) -> SequenceLossOutput:
        """Return the summed loss of a batch and its number of terms."""

    @abstractmethod
    def evaluate(
        self,
        model: Any,
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
        """Evaluate ``model`` on a split of ``data``.

        Validation during training, the final test and ``seq2seq-evaluate`` all call this method.
        The same weights therefore get the same scores on the same examples.

        Args:
            model: the model; its mode (training or evaluation) is restored.
            data: the corpus with its vocabularies.
            split: name of the split.
            search: finds the hypotheses; required by tasks that write text.
            sentences: number of first examples to evaluate; None: all.
            batch_tokens: maximum number of subwords in a batch, including padding.
            attention: whether to compute attention statistics.
            scores: which scores to compute; None: all scores of the task.
            device: device of ``model``.
            progress: wraps the iterable of batches to show progress.
            group: processes that share the batches; each one returns the evaluation of all batches.

        Raises:
            ValueError: if the split does not exist or is empty.
        """

    @abstractmethod
    def attention_maps(
        self,
        model: Any,
        data: ParallelData,
        split: str,
        number: int,
        device: torch.device | str = "cpu",
    ) -> Iterator[AttentionMap]:
        """Yield the attention over the first ``number`` examples of a split."""

    def look(
        self,
        model: Any,
        subwords: VocabularyPair,
        sources: Sequence[str],
        references: Sequence[str] | None,
        *,
        search: Search | None = None,
        batch_tokens: int = 4096,
        max_length: int = 512,
        device: torch.device | str = "cpu",
    ) -> list[Outcome]:
        """Return the model's answers to single texts and its attention, for ``seq2seq-explore``.

        Args:
            model: the model; its mode (training or evaluation) is restored.
            subwords: the vocabularies of both sides.
            sources: the source texts.
            references: a reference for each source; None: no references.
            search: finds the hypotheses; required by tasks that write text.
            batch_tokens: maximum number of subwords in a batch, including padding.
            max_length: maximum number of subwords; longer texts are cut.
            device: device of ``model``.

        Raises:
            ValueError: if the task does not support this.
        """
        raise ValueError(f"{type(self).__name__} cannot show the attention over single texts")

    def right_answers(self, texts: Dataset) -> list[list[str]]:
        """Return the correct answers: one list per reference set, each as long as ``texts``."""
        return references(texts)

    def answer_scores(self, answers: Sequence[str], right: Sequence[Sequence[str]]) -> list[float]:
        """Return the ``example_score`` of each answer.

        Args:
            answers: one text per example.
            right: one list per set of correct answers, each as long as ``answers``.
        """
        raise ValueError(f"{type(self).__name__} does not score single texts")


def _warn_of_long_words(data: ParallelData) -> None:
    """Warn if a word vocabulary treats whole sentences as words, for lack of spaces."""
    texts = data.split("train")[:SAMPLE]
    for side, vocabulary in (("source", data.subwords.source), ("target", data.subwords.target)):
        if isinstance(vocabulary, Words):
            warn_of_few_words(
                texts[side],
                vocabulary.split,
                f"data.subwords.kind=word, on the {side} side,",
                "set data.subwords.kind=unigram or bpe",
            )
