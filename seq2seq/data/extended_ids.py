"""Ids of words that the vocabulary lacks, so that they can be copied (See et al. 2017, 2.2)."""

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
    """Numbers the unknown words of each source V, V + 1, …, in a batch's source and target.

    The numbers mean something within one example only, so they are not kept with the ids of the
    corpus: they are made when a batch is, of the texts of those rows that hold an unknown word. A
    target word that neither the vocabulary nor the source has stays unknown.

    Args:
        texts: the split, with columns ``source`` and ``target``.
        vocabulary: of both sides.
    """

    def __init__(self, texts: Dataset, vocabulary: Vocabulary) -> None:
        self.texts = texts.select_columns(["source", "target"])
        self.vocabulary = vocabulary

    def __call__(self, batch: Batch) -> Batch:
        """The batch with its ids extended in place."""
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
        """Extend the ids of one text, a view of its row."""
        ids.copy_(torch.tensor(self.vocabulary.extended(ids.tolist(), text, unknown)))
