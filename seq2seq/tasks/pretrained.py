"""Pretrained word vectors for the embeddings of a new model."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from seq2seq.data.vocabulary import Vocabulary
from seq2seq.data.word_vectors import word_vectors
from seq2seq.data.words import Words
from seq2seq.system.errors import DataError


class _Loads(Protocol):
    def load_vectors(self, vectors: Tensor, known: Tensor) -> None: ...


def load_word_vectors(
    embedding: _Loads, vocabulary: Vocabulary, file: str | Path, key: str, cache: str | Path | None
) -> None:
    """Load the vectors of the words of a vocabulary from a text file into an embedding.

    Args:
        embedding: the embedding of a new model.
        vocabulary: its vocabulary.
        file: text file of GloVe, word2vec or fastText (.vec).
        key: the configuration key that names the file, for messages.
        cache: cache folder for the vectors; None: the default folder.

    Raises:
        DataError: if the vocabulary is not a word vocabulary, or the file does not fit.
        ValueError: if the embedding has another size.
    """
    if not isinstance(vocabulary, Words):
        raise DataError(
            f"{key}={file} has vectors of words, but the vocabulary has pieces of words; set "
            "data.subwords.kind=word"
        )
    words = vocabulary.pieces(range(vocabulary.size))
    loaded = word_vectors(file, words, cache_folder=cache)
    embedding.load_vectors(torch.from_numpy(loaded.vectors), torch.from_numpy(loaded.known))
