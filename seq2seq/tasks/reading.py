"""Reading references with a model: loss, attention statistics, scores of gold alignments."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from seq2seq.data.batch import Batch
from seq2seq.evaluation.alignment import (
    attention_links,
    check_inside,
    format_pharaoh,
    parse_pharaoh,
    parse_segments,
)
from seq2seq.evaluation.alignment_score import AlignmentScore
from seq2seq.evaluation.attention_statistics import AttentionStatistics
from seq2seq.evaluation.evaluation import AttentionMap
from seq2seq.evaluation.merging import merged
from seq2seq.evaluation.report import statistics_lines
from seq2seq.models.attending import evaluating
from seq2seq.models.encoder_decoder import Decodable
from seq2seq.nn.losses import SequenceLoss
from seq2seq.system.errors import DataError
from seq2seq.system.processes import Group
from seq2seq.tasks.attention_map import attention_map

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

    from seq2seq.data.parallel import ParallelData


class ReferenceReader:
    """Accumulator of loss, attention statistics and alignment scores over references.

    Loss and perplexity are per target token of the reference, including the end of the sentence,
    without label smoothing.

    Args:
        model: the model, in evaluation mode.
        data: the corpus with its vocabularies.
        texts: the split, with its gold alignments if it has any.
        attention: whether to compute attention statistics.
        align: whether to derive word alignments from the attention.
    """

    def __init__(
        self,
        model: Decodable[Any],
        data: ParallelData,
        texts: Dataset,
        attention: bool,
        align: bool = False,
    ) -> None:
        self.model = model
        self.data = data
        self.texts = texts
        self.attention = attention or align
        self.links = [""] * len(texts) if align else None
        self.loss = SequenceLoss()
        self.totals = {"loss": 0.0, "nll": 0.0, "tokens": 0}
        self.statistics: AttentionStatistics | None = None
        self.alignment: AlignmentScore | None = None

    def read(self, batch: Batch) -> None:
        """Read the references of a batch and add their results."""
        output = self.model(
            batch.source,
            batch.source_lengths,
            batch.target_input,
            return_attention=self.attention,
            return_logits=False,
        )
        loss = self.loss(output.logits, batch.target_output, self.model.output_mapping)
        self.totals["loss"] += float(loss.loss_sum)
        self.totals["nll"] += float(loss.nll_sum)
        self.totals["tokens"] += int(loss.tokens)
        if output.attention is None:
            return
        if self.statistics is None:
            layers, heads = output.attention.shape[1:3]
            pools = self.model.attention_mappings()["cross"][0].omega.pools
            self.statistics = AttentionStatistics(layers, heads, pools=pools)
            if "alignment" in self.texts.column_names:
                self.alignment = AlignmentScore(layers, heads)
        self.statistics.update(output.attention, batch.source_mask, batch.target_mask)
        if self.alignment is not None or self.links is not None:
            self._align(batch.to("cpu"), output.attention.cpu())

    def _align(self, batch: Batch, attention: Tensor) -> None:
        """Score the attention of each sentence against its gold alignment, and draw its own."""
        source_words = self.data.subwords.source.words_of
        target_words = self.data.subwords.target.words_of
        for row, index in enumerate(batch.indices.tolist()):
            source, target = batch.ids(row)
            weights = attention[row, :, :, : len(target), : len(source)]
            example = self.texts[index]
            words = (
                source_words(example["source"], source),
                target_words(example["target"], target),
            )
            if self.alignment is not None:
                self.alignment.update(weights, *words, example)
            if self.links is not None:
                links = attention_links(weights, *words, example["source"], example["target"])
                self.links[index] = format_pharaoh(links)

    def share(self, group: Group) -> None:
        """Add the results of the other processes of a group."""
        if group.size == 1:
            return
        links = {i: line for i, line in enumerate(self.links or ()) if line}
        parts = group.gathered((self.totals, self.statistics, self.alignment))
        totals, statistics, alignments = zip(*parts, strict=True)
        self.totals = {name: sum(part[name] for part in totals) for name in self.totals}
        self.statistics = merged(statistics)
        self.alignment = merged(alignments)
        for i, line in group.united(links).items():
            assert self.links is not None
            self.links[i] = line

    def metrics(self) -> dict[str, Any]:
        """Return ``loss``, ``perplexity``, ``tokens`` and the summaries that were computed.

        The summaries are ``attention`` and ``alignment``.
        """
        tokens = max(int(self.totals["tokens"]), 1)
        nll = self.totals["nll"] / tokens
        metrics: dict[str, Any] = {
            "loss": self.totals["loss"] / tokens,
            # The perplexity is infinite if a reference token has probability 0. A sparse output
            # mapping, or copying with sparse attention, can cause this.
            "perplexity": math.exp(nll) if nll < 100.0 else math.inf,
            "tokens": tokens,
        }
        if self.statistics is not None:
            metrics["attention"] = self.statistics.summary()
        if self.alignment is not None:
            metrics["alignment"] = self.alignment.summary()
        return metrics

    def outputs(self) -> dict[str, list[str]]:
        """Return the lines of ``attention.csv`` and ``alignments.txt``, if they were computed."""
        lines: dict[str, list[str]] = {}
        if self.statistics is not None:
            records = list(self.statistics.records())
            records += self.alignment.records() if self.alignment is not None else ()
            lines["attention.csv"] = statistics_lines(records)
        if self.links is not None:
            lines["alignments.txt"] = self.links
        return lines


def check_alignments(texts: DatasetDict) -> None:
    """Raise `DataError` for gold alignments that are not valid, in all splits except ``train``.

    Without this check, the evaluation would fail much later.

    Raises:
        DataError: the message names the split and the example.
    """
    for split, rows in texts.items():
        if split != "train":
            check_links(rows, split)


def check_links(rows: Dataset, split: str) -> None:
    """Refuse gold links and segments of a split that do not fit its sentences.

    Raises:
        DataError: naming the split and the example.
    """
    if "alignment" not in rows.column_names:
        return
    for number, example in enumerate(rows, start=1):
        try:
            gold = parse_pharaoh(example["alignment"])
            segments = parse_segments(
                example.get("source_segments") or "", example.get("target_segments") or ""
            )
            check_inside(gold, example["source"], example["target"], segments)
        except ValueError as error:
            raise DataError(f"data.{split}: example {number:,}: {error}") from error


def reference_maps(
    model: Decodable[Any],
    data: ParallelData,
    split: str,
    number: int,
    device: torch.device | str = "cpu",
) -> Iterator[AttentionMap]:
    """Yield the attention over the first ``number`` sentence pairs, reading the references."""
    maps: dict[int, AttentionMap] = {}
    texts = data.split(split)
    with evaluating(model):
        for batch in data.loader(split, sentences=number, copying=model.copying):
            batch = batch.to(device)
            weights = model(
                batch.source,
                batch.source_lengths,
                batch.target_input,
                return_attention=True,
                return_logits=False,
            ).attention
            assert weights is not None
            for row, index in enumerate(batch.indices.tolist()):
                example = texts[index]
                maps[index] = attention_map(
                    data.subwords,
                    example["source"],
                    *batch.ids(row),
                    weights[row],
                    example["target"],
                )
    yield from (maps[index] for index in sorted(maps))
