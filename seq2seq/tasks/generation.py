"""Base class of tasks that write text with an encoder–decoder and a search."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from seq2seq.data.batch import Batch
from seq2seq.data.corpora.corpus import Corpus, references
from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.evaluation.evaluation import AttentionMap, Evaluation
from seq2seq.evaluation.mapping_parameters import mapping_parameters
from seq2seq.evaluation.report import reference_lines, value_lines
from seq2seq.evaluation.writing_systems import SAMPLE
from seq2seq.models.attending import evaluating
from seq2seq.models.encoder_decoder import Decodable, Output
from seq2seq.nn.losses import SequenceLoss, SequenceLossOutput
from seq2seq.search import Search
from seq2seq.system.errors import DataError
from seq2seq.system.processes import ALONE, Group
from seq2seq.tasks.looking import Outcome, look
from seq2seq.tasks.pretrained import load_word_vectors
from seq2seq.tasks.reading import ReferenceReader, check_alignments, check_links, reference_maps
from seq2seq.tasks.task import Progress, Task, silent
from seq2seq.tasks.writer import Writer

if TYPE_CHECKING:
    from datasets import DatasetDict

    from seq2seq.data.parallel import ParallelData


class Generation(Task):
    """Base class of text generation: p(target | source), scored on the results of a search.

    Args:
        source_embeddings: text file of pretrained word vectors (GloVe, word2vec, fastText's .vec)
            for the source embeddings of a new model; None: random embeddings.
        target_embeddings: the same for the target embeddings.
    """

    model_type = Decodable
    use = "echo '…' | seq2seq-translate"
    searches = True

    def __init__(
        self,
        source_embeddings: str | Path | None = None,
        target_embeddings: str | Path | None = None,
    ) -> None:
        self.source_embeddings, self.target_embeddings = source_embeddings, target_embeddings

    @property
    def measured(self) -> tuple[str, ...]:
        """See the base class; includes the perplexity."""
        return ("loss", "perplexity", *self.validation_scores)

    @abstractmethod
    def scores(
        self,
        hypotheses: Sequence[str],
        references: Sequence[Sequence[str]],
        names: Iterable[str] | None = None,
    ) -> dict[str, Any]:
        """Return the scores of a corpus as ``{name: {"score": …, "signature": …}}``.

        Args:
            hypotheses: one text per example.
            references: one list per reference set, each as long as ``hypotheses``.
            names: which scores to compute; None: all.
        """

    @abstractmethod
    def fit_language(self, language: str, lines: Sequence[str]) -> None:
        """Choose the tokenizer of the scores, and warn if it finds few words.

        This is called before anything is scored.

        Args:
            language: name or code of the target language.
            lines: sample texts in that language.

        Raises:
            ValueError: if a required tokenizer is not installed.
        """

    def example_scores(
        self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]
    ) -> dict[str, Sequence[float]]:
        """Return the value of each example, for the scores that are means over examples.

        The default is an empty dict. ``seq2seq-compare`` tests differences with these values. For
        sacreBLEU's scores it uses the texts instead.
        """
        return {}

    def check_texts(self, corpus: Corpus, texts: DatasetDict, scored: bool = True) -> None:
        """See the base class; raises for labeled pairs and invalid gold alignments."""
        for name, split in texts.items():
            if "label" in split.column_names:
                raise DataError(
                    f"the split {name} has labeled pairs (a column label), which "
                    f"{type(self).__name__} cannot use. Choose task=entailment, or a corpus of "
                    "sources and targets without labels"
                )
        check_alignments(texts)
        if scored:
            lines = [line for split in texts.values() for line in split[:SAMPLE]["target"]]
            self.fit_language(corpus.target_language, lines)

    def check_split(
        self, model: Any, data: ParallelData, split: str, sentences: int | None = None
    ) -> None:
        """See the base class; whatever the scores need must be installed."""
        super().check_split(model, data, split, sentences)
        try:
            self.scores(["a"], [["a"]])
        except (ImportError, RuntimeError, OSError) as error:  # as sacreBLEU's tokenizers raise
            lines = " ".join(str(error).split())
            raise DataError(
                f"the scores of {type(self).__name__} cannot be computed: {lines}"
            ) from error

    def model_arguments(self, subwords: VocabularyPair) -> dict[str, Any]:
        """Return the sizes of both vocabularies."""
        return {
            "source_vocabulary_size": subwords.source.size,
            "target_vocabulary_size": subwords.target.size,
        }

    def initialize(
        self, model: Any, subwords: VocabularyPair, *, cache: str | Path | None = None
    ) -> None:
        """Load pretrained vectors into the embeddings.

        Raises:
            DataError: if a vocabulary is not a word vocabulary, or a file does not fit.
            ValueError: if the embeddings have another size, or both sides share one table.
        """
        sides = {
            "source": (model.source_embedding, subwords.source, self.source_embeddings),
            "target": (model.target_embedding, subwords.target, self.target_embeddings),
        }
        shared = model.source_embedding.weight is model.target_embedding.weight
        if shared and None not in (self.source_embeddings, self.target_embeddings):
            raise ValueError(
                "task.source_embeddings and task.target_embeddings are two files, but "
                "model.tie_embeddings=all has one table for both sides; set one of them to null, "
                "or set model.tie_embeddings=target"
            )
        for side, (embedding, vocabulary, file) in sides.items():
            if file is not None:
                load_word_vectors(embedding, vocabulary, file, f"task.{side}_embeddings", cache)

    def choices(self, subwords: VocabularyPair) -> int:
        """See the base class."""
        return subwords.target.size

    def loss(
        self, model: Decodable[Any], batch: Batch, criterion: SequenceLoss
    ) -> SequenceLossOutput:
        """See the base class; the terms are the target tokens.

        Raises:
            ValueError: if the loss compares two passes, but the model copies words of the source.
        """
        if criterion.r_drop and model.copying:
            raise ValueError(
                "loss.r_drop compares the logits of two passes, which a model with "
                "model.copying=true does not have; set one of them off"
            )

        def read() -> Output:
            return model(
                batch.source,
                batch.source_lengths,
                batch.target_input,
                return_attention=criterion.reads_attention,
                return_logits=False,
            )

        target, mapping = batch.target_output, model.output_mapping
        if criterion.r_drop:
            first, second = read(), read()
            return criterion.of_two_passes(
                (first.logits, second.logits),
                target,
                mapping,
                (first.attention, second.attention),
            )
        output = read()
        return criterion(output.logits, target, mapping, output.attention)

    def evaluate(
        self,
        model: Decodable[Any],
        data: ParallelData,
        split: str,
        *,
        search: Search | None = None,
        sentences: int | None = None,
        batch_tokens: int = 4096,
        attention: bool = True,
        alignments: bool = False,
        scores: Iterable[str] | None = None,
        device: torch.device | str = "cpu",
        progress: Progress = silent,
        group: Group = ALONE,
    ) -> Evaluation:
        """See the base class.

        Attention statistics and alignments are computed while the model reads the reference, so
        that models are compared on the same target tokens. Scores are computed on the hypotheses of
        ``search``. With ``alignments``, the outputs include the word alignments of source and
        reference that the attention implies (see ``attention_links``).
        """
        if search is None:
            raise ValueError(f"{type(self).__name__} needs a search to write text with")
        writer = Writer(model, data.subwords, search)
        texts = data.split(split, sentences)
        if split == "train":  # the links of others were checked at the start
            check_links(texts, split)
        self.check_split(model, data, split, sentences)
        sources, written = list(texts["source"]), {}
        reader = ReferenceReader(model, data, texts, attention, alignments)
        loader = data.loader(
            split, tokens=batch_tokens, sentences=sentences, group=group, copying=model.copying
        )
        with evaluating(model):
            for batch in progress(loader):
                batch = batch.to(device)
                reader.read(batch)
                for index, [best, *_] in writer.write(batch, sources):
                    written[index] = best.text
        reader.share(group)
        written = group.united(written)
        hypotheses = [written[index] for index in range(len(texts))]
        reference_sets = references(texts)
        metrics = {**reader.metrics(), **self.scores(hypotheses, reference_sets, scores)}
        if parameters := mapping_parameters(model):
            metrics["mapping"] = parameters
        examples = [
            {"source": source, "reference": reference, "hypothesis": hypothesis}
            for source, reference, hypothesis in zip(
                sources, reference_sets[0], hypotheses, strict=True
            )
        ]
        outputs = {
            "hypotheses.txt": hypotheses,
            **reference_lines(reference_sets),
            **reader.outputs(),
        }
        if scores is None and (values := self.example_scores(hypotheses, reference_sets)):
            outputs["example_scores.jsonl"] = value_lines(values)
        return Evaluation(metrics, examples, outputs)

    def attention_maps(
        self,
        model: Decodable[Any],
        data: ParallelData,
        split: str,
        number: int,
        device: torch.device | str = "cpu",
    ) -> Iterator[AttentionMap]:
        """See the base class; the model reads the references."""
        return reference_maps(model, data, split, number, device)

    def look(
        self,
        model: Decodable[Any],
        subwords: VocabularyPair,
        sources: Sequence[str],
        references: Sequence[str] | None,
        *,
        search: Search | None = None,
        **options: Any,
    ) -> list[Outcome]:
        """See the base class."""
        if search is None:
            raise ValueError(f"{type(self).__name__} needs a search to write text with")
        return look(model, subwords, sources, references, search, **options)

    def answer_scores(self, answers: Sequence[str], right: Sequence[Sequence[str]]) -> list[float]:
        """See the base class; a score that is not a mean treats each example as a corpus."""
        name = self.example_score
        if (values := self.example_scores(answers, right).get(name)) is not None:
            return [*values]
        return [
            float(self.scores([answer], [[text] for text in correct], [name])[name]["score"])
            for answer, *correct in zip(answers, *right, strict=True)
        ]

    def generate(
        self,
        model: Decodable[Any],
        subwords: VocabularyPair,
        sentences: Sequence[str],
        search: Search,
        *,
        prefixes: Sequence[str] | None = None,
        batch_tokens: int = 4096,
        max_source_length: int | None = None,
        device: torch.device | str = "cpu",
        group: Group = ALONE,
    ) -> list[list[tuple[str, float]]]:
        """Return the hypotheses of each sentence with their scores, in the order of the sentences.

        An empty sentence has one hypothesis of score 0: its prefix, or an empty text. A sentence
        longer than ``max_source_length`` subwords is cut there.

        Args:
            model: the model, in evaluation mode.
            subwords: the vocabularies of both sides.
            sentences: the source sentences.
            search: finds the hypotheses.
            prefixes: for each sentence, a text that its hypotheses begin with, or an empty text. It
                is encoded by the target vocabulary.
            batch_tokens: maximum number of source subwords in a batch, including padding.
            max_source_length: maximum number of source subwords, without the end of the sentence;
                None: no limit.
            device: device of ``model``.
            group: processes that share the batches; each one returns all hypotheses.
        """
        results = Writer(model, subwords, search).write_texts(
            sentences,
            prefixes,
            batch_tokens=batch_tokens,
            max_source_length=max_source_length,
            device=device,
            group=group,
        )
        return [[(w.text, w.hypothesis.score) for w in written] for written in results]
