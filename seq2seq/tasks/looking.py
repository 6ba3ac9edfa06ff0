"""Answers of a model to single examples, with its attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from seq2seq.data.batch import EOS_ID
from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.evaluation.evaluation import AttentionMap
from seq2seq.models.attending import evaluating
from seq2seq.models.encoder_decoder import Decodable
from seq2seq.search import Search
from seq2seq.tasks.attention_map import attention_map
from seq2seq.tasks.text_batches import text_batches
from seq2seq.tasks.writer import Writer


@dataclass(frozen=True)
class Outcome:
    """Answer of a model to one example.

    Attributes:
        text: the answer.
        log_probability: log-probability of the answer; None if the search gives none.
        looks: attention maps: ``writing`` (the answer) and ``reading`` (the reference).
    """

    text: str
    log_probability: float | None
    looks: dict[str, AttentionMap]


def look(
    model: Decodable[Any],
    subwords: VocabularyPair,
    sources: Sequence[str],
    references: Sequence[str] | None,
    search: Search,
    *,
    batch_tokens: int = 4096,
    max_length: int = 512,
    device: torch.device | str = "cpu",
) -> list[Outcome]:
    """Return an answer to each source, with the attention while writing it and while reading.

    Args:
        model: the model; its mode (training or evaluation) is restored.
        subwords: the vocabularies of both sides.
        sources: the source texts.
        references: a reference for each source; None: the model reads no references.
        search: finds the hypotheses.
        batch_tokens: maximum number of subwords in a batch, including padding.
        max_length: maximum number of subwords; longer texts are cut. The model's own limit applies
            too.
        device: device of ``model``.
    """
    if not sources:
        return []
    writer = Writer(model, subwords, search, return_attention=True)
    outcomes: dict[int, Outcome] = {}
    with evaluating(model):
        for batch in text_batches(model, subwords, sources, references, batch_tokens, max_length):
            batch = batch.to(device)
            read = None
            if references is not None:
                read = model(
                    batch.source,
                    batch.source_lengths,
                    batch.target_input,
                    return_attention=True,
                    return_logits=False,
                ).attention
            for row, (index, [written, *_]) in enumerate(writer.write(batch, sources)):
                best, text = written.hypothesis, sources[index]
                assert best.attention is not None
                source, target = batch.ids(row)
                tokens = [*best.tokens, EOS_ID]
                looks = {"writing": attention_map(subwords, text, source, tokens, best.attention)}
                if read is not None and references is not None:
                    looks["reading"] = attention_map(
                        subwords, text, source, target, read[row], references[index]
                    )
                outcomes[index] = Outcome(written.text, best.log_probability, looks)
    return [outcomes[index] for index in range(len(sources))]
