"""Evaluation of a model on a split: loss, translations and their scores, where it looks.

The same function serves validation during training, the final test and ``seq2seq-evaluate``, so
that the same weights on the same sentences give the same figures in all three.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from seq2seq.data.batch import EOS_ID, PAD_ID, Batch
from seq2seq.data.parallel import ParallelData
from seq2seq.data.subwords import SubwordPair
from seq2seq.evaluation.alignment import AlignmentScore
from seq2seq.evaluation.attention_statistics import AttentionStatistics
from seq2seq.evaluation.mapping_parameters import mapping_parameters
from seq2seq.evaluation.scores import translation_scores
from seq2seq.models.encoder_decoder import EncoderDecoder
from seq2seq.nn.losses import SequenceLoss
from seq2seq.search import Hypothesis


class Search(Protocol):
    """Greedy, beam, …: hypotheses of a batch, best first, in the batch's order."""

    def __call__(
        self,
        model: EncoderDecoder,
        source: Tensor,
        source_lengths: Tensor,
        *,
        return_attention: bool = False,
    ) -> list[list[Hypothesis]]:
        """Search the translations of ``source`` ``[batch, source_length]``."""
        ...


@dataclass(frozen=True)
class Evaluation:
    """What evaluation found.

    Attributes:
        metrics: ``{"loss": …, "perplexity": …, "bleu": {"score": …, "signature": …}, …}``.
        sources: source sentences, in the order of the split.
        references: their reference translations.
        hypotheses: the model's.
    """

    metrics: dict[str, Any]
    sources: list[str]
    references: list[str]
    hypotheses: list[str]


def _silent(batches: Iterable[Batch]) -> Iterable[Batch]:
    return batches


@torch.inference_mode()
def evaluate(
    model: EncoderDecoder,
    data: ParallelData,
    split: str,
    search: Search,
    *,
    sentences: int | None = None,
    batch_tokens: int = 4096,
    attention: bool = True,
    scores: Sequence[str] = ("bleu", "chrf", "ter"),
    device: torch.device | str = "cpu",
    progress: Callable[[Iterable[Batch]], Iterable[Batch]] = _silent,
) -> Evaluation:
    """Evaluate ``model`` on a split of ``data``.

    Loss and perplexity are those of the reference, without label smoothing, a target token, end of
    sentence included. Attention statistics and alignments are taken while the model reads the
    reference, so that models are compared on the same target tokens; scores are of what ``search``
    finds.

    Args:
        model: left in the mode (training or evaluation) in which it came.
        data: the corpus with its subwords.
        split: name of the split.
        search: makes the hypotheses.
        sentences: evaluate the first so many only.
        batch_tokens: padded subwords in a batch.
        attention: whether to take attention statistics, and alignment scores where the split has
            gold alignments.
        scores: which of BLEU, chrF and TER (the slow one) to compute.
        device: where ``model`` is.
        progress: wraps the iterable of batches.

    Raises:
        ValueError: if the split does not exist or is empty.
    """
    texts = data.split(split)
    number = len(texts) if sentences is None else min(sentences, len(texts))
    texts = texts.select(range(number))
    hypotheses = [""] * number
    reader = _ReferenceReader(model, data, texts, attention)
    training = model.training
    model.eval()
    try:
        for batch in progress(data.loader(split, tokens=batch_tokens, sentences=sentences)):
            batch = batch.to(device)
            reader.read(batch)
            found = search(model, batch.source, batch.source_lengths)
            for index, best in zip(batch.indices.tolist(), found, strict=True):
                hypotheses[index] = data.subwords.target.decode(best[0].tokens)
    finally:
        model.train(training)
    references = list(texts["target"])
    metrics = {**reader.metrics(), **translation_scores(hypotheses, [references], scores)}
    if parameters := mapping_parameters(model):
        metrics["mapping"] = parameters
    return Evaluation(metrics, list(texts["source"]), references, hypotheses)


class _ReferenceReader:
    """Reads references with the model and keeps loss, attention statistics and alignments."""

    def __init__(
        self, model: EncoderDecoder, data: ParallelData, texts: Any, attention: bool
    ) -> None:
        self.model = model
        self.data = data
        self.texts = texts
        self.attention = attention
        self.loss = SequenceLoss()
        self.totals = {"loss": 0.0, "nll": 0.0, "tokens": 0}
        self.statistics: AttentionStatistics | None = None
        self.alignment: AlignmentScore | None = None

    def read(self, batch: Batch) -> None:
        output = self.model(
            batch.source,
            batch.source_lengths,
            batch.target_input,
            return_attention=self.attention,
        )
        loss = self.loss(output.logits, batch.target_output, self.model.output_mapping)
        self.totals["loss"] += float(loss.loss_sum)
        self.totals["nll"] += float(loss.nll_sum)
        self.totals["tokens"] += int(loss.tokens)
        if output.attention is None:
            return
        if self.statistics is None:
            layers, heads = output.attention.shape[1:3]
            self.statistics = AttentionStatistics(layers, heads)
            if "alignment" in self.texts.column_names:
                self.alignment = AlignmentScore(layers, heads)
        self.statistics.update(output.attention, batch.source_mask, batch.target_mask)
        if self.alignment is not None:
            self._align(self.alignment, batch.to("cpu"), output.attention.cpu())

    def _align(self, alignment: AlignmentScore, batch: Batch, attention: Tensor) -> None:
        """Score the attention of each sentence against its gold alignment."""
        source_words = self.data.subwords.source.words
        target_words = self.data.subwords.target.words
        for row, index in enumerate(batch.indices.tolist()):
            source = batch.source[row, : int(batch.source_lengths[row])].tolist()
            target = batch.target[row, 1 : int(batch.target_lengths[row])].tolist()
            alignment.update(
                attention[row, :, :, : len(target), : len(source)],
                source_words(source),
                target_words(target),
                self.texts[index],
            )

    def metrics(self) -> dict[str, Any]:
        tokens = max(int(self.totals["tokens"]), 1)
        nll = self.totals["nll"] / tokens
        found: dict[str, Any] = {
            "loss": self.totals["loss"] / tokens,
            # Infinite where a sparse output layer gives some reference token no probability.
            "perplexity": math.exp(nll) if nll < 100.0 else math.inf,
            "tokens": tokens,
        }
        if self.statistics is not None:
            found["attention"] = self.statistics.summary()
        if self.alignment is not None:
            found["alignment"] = self.alignment.summary()
        return found


@dataclass(frozen=True)
class AttentionMap:
    """Where a model looked while it read one reference.

    Attributes:
        source: the source's pieces.
        target: the reference's pieces, end of sentence included.
        weights: ``[layer, head, target_length, source_length]``.
    """

    source: list[str]
    target: list[str]
    weights: Tensor


@torch.inference_mode()
def attention_maps(
    model: EncoderDecoder,
    data: ParallelData,
    split: str,
    number: int,
    device: torch.device | str = "cpu",
) -> Iterator[AttentionMap]:
    """Attention over the first ``number`` sentence pairs of a split, reading the references."""
    training = model.training
    model.eval()
    try:
        maps: dict[int, AttentionMap] = {}
        for batch in data.loader(split, sentences=number):
            batch = batch.to(device)
            weights = model(
                batch.source, batch.source_lengths, batch.target_input, return_attention=True
            ).attention
            assert weights is not None
            for row, index in enumerate(batch.indices.tolist()):
                source = batch.source[row, : int(batch.source_lengths[row])].tolist()
                target = batch.target[row, 1 : int(batch.target_lengths[row])].tolist()
                maps[index] = AttentionMap(
                    data.subwords.source.pieces(source),
                    data.subwords.target.pieces(target),
                    weights[row, :, :, : len(target), : len(source)].float().cpu(),
                )
    finally:
        model.train(training)
    yield from (maps[index] for index in sorted(maps))


@torch.inference_mode()
def translate(
    model: EncoderDecoder,
    subwords: SubwordPair,
    sentences: Sequence[str],
    search: Search,
    *,
    batch_tokens: int = 4096,
    max_source_length: int | None = None,
    device: torch.device | str = "cpu",
) -> list[list[tuple[str, float]]]:
    """Translate sentences: for each, in the order given, its hypotheses with their scores.

    An empty sentence has one empty hypothesis of score 0. A sentence longer than
    ``max_source_length`` subwords is cut there.

    Args:
        model: in evaluation mode.
        subwords: the pair of SentencePiece models.
        sentences: one sentence each.
        search: makes the hypotheses.
        batch_tokens: padded source subwords in a batch.
        max_source_length: in subwords, end of sentence not counted; None: no limit.
        device: where ``model`` is.
    """
    found: list[list[tuple[str, float]]] = [[("", 0.0)] for _ in sentences]
    ids = [subwords.source.encode(sentence)[:max_source_length] for sentence in sentences]
    order = sorted((i for i in range(len(ids)) if ids[i]), key=lambda i: len(ids[i]))
    for members in _batches(order, [len(row) + 1 for row in ids], batch_tokens):
        rows = [torch.tensor([*ids[i], EOS_ID]) for i in members]
        source = torch.nn.utils.rnn.pad_sequence(rows, True, PAD_ID).to(device)
        lengths = torch.tensor([len(row) for row in rows], device=device)
        for i, hypotheses in zip(members, search(model, source, lengths), strict=True):
            found[i] = [(subwords.target.decode(h.tokens), h.score) for h in hypotheses]
    return found


def _batches(order: list[int], lengths: list[int], tokens: int) -> Iterator[list[int]]:
    """Consecutive members of ``order``, shortest first, while the padded batch fits."""
    batch: list[int] = []
    for index in order:
        if batch and (len(batch) + 1) * lengths[index] > tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
