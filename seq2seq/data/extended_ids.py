"""Ids for words outside the vocabulary, so that a model can copy them (See et al. 2017, 2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from seq2seq.data.batch import UNK_ID, Batch
from seq2seq.data.vocabulary import Vocabulary

if TYPE_CHECKING:
    from datasets import Dataset


class ExtendedIds:
    """Function that gives the unknown words of each source the ids V, V + 1, … in a batch.

    The ids are valid within one example only, so they are not stored with the ids of the corpus.
    They are computed for each batch, from the texts of the rows that have an unknown word. A target
    word that is in neither the vocabulary nor the source stays unknown.

    Args:
        texts: the split, with columns ``source`` and ``target``.
        vocabulary: the vocabulary that both sides share.
    """

    def __init__(self, texts: Dataset, vocabulary: Vocabulary) -> None:
        self.texts = texts.select_columns(["source", "target"])
        self.vocabulary = vocabulary

    def __call__(self, batch: Batch) -> Batch:
        """Extend the ids of a batch in place, and return the batch."""
        rows = (batch.source == UNK_ID).any(1).nonzero().squeeze(-1).tolist()
        texts = self.texts[batch.indices[rows].tolist()] if rows else {"source": [], "target": []}
        for row, source, target in zip(rows, texts["source"], texts["target"], strict=True):
            unknown = self.vocabulary.unknown_words(source)
            self._extend(batch.source[row, : int(batch.source_lengths[row]) - 1], source, unknown)
            words = batch.target[row, 1 : int(batch.target_lengths[row]) - 1]
            if (words == UNK_ID).any():
                self._extend(words, target, unknown)
        return batch

    def _extend(self, ids: Tensor, text: str, unknown: Sequence[str]) -> None:
        """Extend the ids of a text in place; ``ids`` is a view of its row."""
        ids.copy_(torch.tensor(self.vocabulary.extended(ids.tolist(), text, unknown)))
