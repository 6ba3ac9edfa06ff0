"""Reading sentence pairs with a classifier: class probabilities and attention maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from seq2seq.data.batch import Batch
from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.evaluation.evaluation import AttentionMap
from seq2seq.models.attending import evaluating
from seq2seq.models.pair_classifier import Classification, PairClassifier
from seq2seq.tasks.attention_map import attention_map
from seq2seq.tasks.looking import Outcome
from seq2seq.tasks.text_batches import text_batches

if TYPE_CHECKING:
    from seq2seq.data.parallel import ParallelData


def read(model: PairClassifier, batch: Batch, *, return_attention: bool = False) -> Classification:
    """Apply the model to a batch of premises and hypotheses (without their bos)."""
    return model(
        batch.source,
        batch.source_lengths,
        batch.target_output,
        batch.target_lengths - 1,
        return_attention=return_attention,
    )


def class_probabilities(model: PairClassifier, found: Classification) -> Tensor:
    """Return the probabilities ``[batch, class]``, in the order of the model's labels."""
    return model.output_mapping(found.logits.float())


def pair_maps(
    model: PairClassifier,
    data: ParallelData,
    split: str,
    number: int,
    device: torch.device | str = "cpu",
) -> Iterator[AttentionMap]:
    """Yield the attention over the premises of the first ``number`` pairs of a split.

    The queries are the words of the hypothesis, or the hypothesis as a whole.
    """
    maps: dict[int, AttentionMap] = {}
    texts = data.split(split)
    with evaluating(model):
        for batch in data.loader(split, sentences=number):
            weights = read(model, batch.to(device), return_attention=True).attention
            assert weights is not None
            for row, index in enumerate(batch.indices.tolist()):
                pair = texts[index]["source"], texts[index]["target"]
                maps[index] = _pair_map(data.subwords, pair, batch, row, weights, pair[1])
    yield from (maps[index] for index in sorted(maps))


def look_at_pairs(
    model: PairClassifier,
    subwords: VocabularyPair,
    premises: Sequence[str],
    hypotheses: Sequence[str],
    *,
    batch_tokens: int = 4096,
    max_length: int = 512,
    device: torch.device | str = "cpu",
) -> list[Outcome]:
    """Return the most probable label of each pair, and the hypothesis's attention to the premise.

    Args:
        model: the model; its mode (training or evaluation) is restored.
        subwords: the vocabulary.
        premises: the premises.
        hypotheses: a hypothesis for each premise.
        batch_tokens: maximum number of subwords in a batch, including padding.
        max_length: maximum number of subwords; longer texts are cut.
        device: device of ``model``.
    """
    outcomes: dict[int, Outcome] = {}
    with evaluating(model):
        for batch in text_batches(model, subwords, premises, hypotheses, batch_tokens, max_length):
            result = read(model, batch.to(device), return_attention=True)
            assert result.attention is not None
            probabilities = class_probabilities(model, result)
            for row, index in enumerate(batch.indices.tolist()):
                texts = premises[index], hypotheses[index]
                look = _pair_map(subwords, texts, batch, row, result.attention, "hypothesis")
                best = int(probabilities[row].argmax())
                log_probability = float(probabilities[row, best].log())
                outcomes[index] = Outcome(model.labels[best], log_probability, {"reading": look})
    return [outcomes[index] for index in range(len(premises))]


def _pair_map(
    subwords: VocabularyPair,
    texts: tuple[str, str],
    batch: Batch,
    row: int,
    weights: Tensor,
    whole: str,
) -> AttentionMap:
    """Where row ``row`` looks in its premise; ``whole`` names a hypothesis that looks as one."""
    premise, hypothesis = texts
    by_word = attention_map(subwords, premise, *batch.ids(row), weights[row], hypothesis)
    if weights.size(3) > 1:
        return by_word
    return replace(by_word, target=[whole], target_words=[-1])
