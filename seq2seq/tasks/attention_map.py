"""Build attention maps, with pieces and words, from ids and weights."""

from __future__ import annotations

from torch import Tensor

from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.evaluation.evaluation import AttentionMap


def attention_map(
    subwords: VocabularyPair,
    text: str,
    source: list[int],
    target: list[int],
    weights: Tensor,
    target_text: str | None = None,
) -> AttentionMap:
    """Return the attention map of one example.

    Args:
        subwords: the vocabularies of both sides.
        text: of the source, which words may be copied from.
        source: ids that were looked at.
        target: ids from which the model looked.
        weights: ``[layer, head, …, …]`` that begin with those of the ids; padding may follow.
        target_text: what the target ids encode; None: the model wrote them.
    """
    words = subwords.target
    return AttentionMap(
        subwords.source.pieces(source, text),
        subwords.target.pieces(target, text),
        subwords.source.words_of(text, source),
        words.words(target) if target_text is None else words.words_of(target_text, target),
        weights[:, :, : len(target), : len(source)].float().cpu(),
    )
