"""What a model makes of single examples, and where it looks while it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seq2seq.data.batch import EOS_ID
from seq2seq.data.loaders import Encoded, EvaluationLoader
from seq2seq.data.sequences import Sequences
from seq2seq.data.subwords import SubwordPair
from seq2seq.models.encoder_decoder import EncoderDecoder
from seq2seq.tasks.reading import evaluating


@dataclass(frozen=True)
class Look:
    """Where a model looked.

    Attributes:
        source: the pieces that were looked at.
        target: the pieces from which it looked, end of sentence included.
        source_words: for each source piece its word, from 0; −1 for the end of the sentence.
        target_words: likewise.
        weights: ``[layer, head, target_length, source_length]`` float32.
    """

    source: list[str]
    target: list[str]
    source_words: list[int]
    target_words: list[int]
    weights: Tensor


@dataclass(frozen=True)
class Outcome:
    """What a model made of one example.

    Attributes:
        text: its answer.
        log_probability: of the answer; None if it has none.
        looks: where it looked, by what it did: ``writing`` its answer, ``reading`` the reference.
    """

    text: str
    log_probability: float | None
    looks: dict[str, Look]


def look(
    model: EncoderDecoder,
    subwords: SubwordPair,
    sources: Sequence[str],
    references: Sequence[str] | None,
    search: Any,
    *,
    batch_tokens: int = 4096,
    max_length: int = 512,
    device: torch.device | str = "cpu",
) -> list[Outcome]:
    """Write an answer to each source; and read its reference, where there are any.

    Args:
        model: left in the mode in which it came.
        subwords: the vocabularies of both sides.
        sources: one text each.
        references: as many texts, or None.
        search: makes the hypotheses.
        batch_tokens: padded subwords in a batch.
        max_length: texts are cut after so many subwords, or fewer, if the model numbers fewer.
        device: where ``model`` is.
    """
    if model.max_length is not None:
        max_length = min(max_length, model.max_length - 1)
    encoded = Encoded(
        _encoded(subwords.source, sources, max_length),
        _encoded(subwords.target, references or [""] * len(sources), max_length),
    )
    found: dict[int, Outcome] = {}
    if not sources:
        return []
    with evaluating(model):
        for batch in EvaluationLoader(encoded, batch_tokens):
            batch = batch.to(device)
            hypotheses = search(model, batch.source, batch.source_lengths, return_attention=True)
            read = None
            if references is not None:
                read = model(
                    batch.source, batch.source_lengths, batch.target_input, return_attention=True
                ).attention
            for row, index in enumerate(batch.indices.tolist()):
                best = hypotheses[row][0]
                source = batch.source[row, : int(batch.source_lengths[row])].tolist()
                looks = {"writing": _look(subwords, source, best.tokens, best.attention)}
                if read is not None:
                    target = batch.target[row, 1 : int(batch.target_lengths[row]) - 1].tolist()
                    looks["reading"] = _look(subwords, source, target, read[row])
                text = subwords.target.decode(best.tokens)
                found[index] = Outcome(text, best.log_probability, looks)
    return [found[index] for index in range(len(sources))]


def _encoded(side: Any, texts: Sequence[str], max_length: int) -> Sequences:
    return Sequences.from_arrays(ids[:max_length] for ids in side.encode_batch(list(texts)))


def _look(subwords: SubwordPair, source: list[int], target: list[int], weights: Tensor) -> Look:
    """The look of one row: its ids without padding, the target's without end of sentence."""
    target = [*target, EOS_ID]
    return Look(
        subwords.source.pieces(source),
        subwords.target.pieces(target),
        subwords.source.words(source),
        subwords.target.words(target),
        weights[:, :, : len(target), : len(source)].float().cpu(),
    )
