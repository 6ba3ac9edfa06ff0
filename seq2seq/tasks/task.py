"""What tells one task from another: data → model, batch → loss, split → scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn

from seq2seq.data.batch import Batch
from seq2seq.data.corpora.corpus import SIDES, Corpus, references
from seq2seq.data.errors import DataError
from seq2seq.data.group import ALONE, Group
from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.data.words import Words
from seq2seq.evaluation.evaluation import AttentionMap, Evaluation
from seq2seq.evaluation.writing import SAMPLE, warn_of_few_words
from seq2seq.nn.losses import SequenceLoss, SequenceLossOutput
from seq2seq.search import Search
from seq2seq.tasks.looking import Outcome

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

    from seq2seq.data.parallel import ParallelData

Progress = Callable[[Iterable[Batch]], Iterable[Batch]]


def silent(batches: Iterable[Batch]) -> Iterable[Batch]:
    """No progress shown."""
    return batches


class Task(ABC):
    """A task: the one object through which training and evaluation know what they do.

    A new task is a class here and a file in ``configs/task``, which also chooses its corpus and its
    model.

    Attributes:
        model_type: the class of models that can do it.
        monitor: the score that tells which checkpoint is best, unless the user names another.
        validation_scores: the scores of a validation; a test may take more.
        lower_is_better: measures that fall as a model improves.
        example_score: the score that single examples are compared by.
        sides: what the two texts of an example are called.
        use: the command that a trained model is used by; ``checkpoint=`` follows.
        searches: whether it writes text, which a search finds.
        labels: the classes that the corpus's column `label` may name; None: it is not read.
    """

    model_type: ClassVar[type[nn.Module]]
    monitor: ClassVar[str]
    validation_scores: ClassVar[tuple[str, ...]]
    lower_is_better: ClassVar[tuple[str, ...]] = ("loss", "perplexity")
    example_score: ClassVar[str]
    sides: ClassVar[tuple[str, str]] = ("source", "reference")
    use: ClassVar[str]
    searches: ClassVar[bool] = False
    labels: tuple[str, ...] | None = None

    @property
    def measured(self) -> tuple[str, ...]:
        """What a validation measures, so what ``validation.monitor`` may name."""
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
        """The corpus of a new run, with vocabularies made of its training split; checks labels."""
        # `datasets` and its pandas take a second to import, and translating needs neither.
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
        """A corpus as a trained model reads it, with the vocabularies of its checkpoint.

        Labels are checked when a split is read.

        Args:
            corpus: is loaded.
            subwords: of the checkpoint.
            cache: folder to keep the ids in; None for the default place.
            scored: whether outputs will be scored; False needs no tokenizer of the scores.
        """
        from seq2seq.data.parallel import ParallelData  # late, as in `prepare`

        data = ParallelData(corpus, subwords, labels=self.labels, cache=cache)
        self.check_texts(corpus, data.texts, scored)
        return data

    def check_texts(  # noqa: B027
        self, corpus: Corpus, texts: DatasetDict, scored: bool = True
    ) -> None:
        """Refuse, or warn of, a corpus that the task would misread; called before anything long.

        Args:
            corpus: from which the texts were loaded.
            texts: its splits.
            scored: whether outputs will be scored.

        Raises:
            ValueError: naming the split.
        """

    @abstractmethod
    def model_arguments(self, subwords: VocabularyPair) -> dict[str, Any]:
        """Arguments of the model's class that the data decides, such as vocabulary sizes."""

    @abstractmethod
    def choices(self, subwords: VocabularyPair) -> int:
        """Return the number of classes or tokens that each prediction chooses from."""

    def check_model(self, model: type[nn.Module]) -> None:
        """Refuse a class of models of another task.

        Raises:
            ValueError: naming both.
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
        """Give a new model first weights that come from elsewhere; by default there are none.

        Args:
            model: built, its weights drawn.
            subwords: its vocabularies.
            cache: folder to keep what was read in; None for the default place.
        """

    @abstractmethod
    def loss(self, model: Any, batch: Batch, criterion: SequenceLoss) -> SequenceLossOutput:
        """The summed loss of a batch, and the number of its terms."""

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

        The same function serves validation during training, the final test and
        ``seq2seq-evaluate``, so that the same weights on the same examples give the same figures.

        Args:
            model: left in the mode (training or evaluation) in which it came.
            data: the corpus with its vocabularies.
            split: name of the split.
            search: makes the hypotheses, where the task writes text.
            sentences: evaluate the first so many examples only.
            batch_tokens: padded subwords in a batch.
            attention: whether to take attention statistics.
            scores: which scores to compute; None: all of the task's.
            device: where ``model`` is.
            progress: wraps the iterable of batches.
            group: of processes that share the batches; each has the evaluation of all.

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
        """Attention over the first ``number`` examples of a split."""

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
        """What the model makes of single texts, and where it looks; for ``seq2seq-explore``.

        Args:
            model: left in the mode in which it came.
            subwords: the vocabularies of both sides.
            sources: one text each.
            references: as many texts, or None.
            search: makes the hypotheses, where the task writes text.
            batch_tokens: padded subwords in a batch.
            max_length: texts are cut after so many subwords.
            device: where ``model`` is.

        Raises:
            ValueError: if the task cannot tell.
        """
        raise ValueError(f"{type(self).__name__} does not tell where a model looks in single texts")

    def right_answers(self, texts: Dataset) -> list[list[str]]:
        """What the answers are scored against: one list a set, each as long as ``texts``."""
        return references(texts)

    def answer_scores(self, answers: Sequence[str], right: Sequence[Sequence[str]]) -> list[float]:
        """The ``example_score`` of each answer.

        Args:
            answers: one text an example.
            right: one list a set of right answers, each as long as ``answers``.
        """
        raise ValueError(f"{type(self).__name__} does not score single texts")


def _warn_of_long_words(data: ParallelData) -> None:
    """Warn if a vocabulary of words takes whole sentences for words."""
    texts = data.split("train")[:SAMPLE]
    for side, vocabulary in (("source", data.subwords.source), ("target", data.subwords.target)):
        if isinstance(vocabulary, Words):
            warn_of_few_words(
                texts[side],
                vocabulary.split,
                f"data.subwords.kind=word, on the {side} side,",
                "set data.subwords.kind=unigram or bpe",
            )
