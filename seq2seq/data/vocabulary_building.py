"""Build the vocabularies of a corpus from its training split, or read the user's own."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset

from seq2seq.data.own_model import adopt_subwords
from seq2seq.data.subword_training import among, train_subwords
from seq2seq.data.vocabulary import Vocabulary
from seq2seq.data.vocabulary_extension import extend_vocabularies
from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.data.word_counts import count_words
from seq2seq.data.words import Words
from seq2seq.system.errors import DataError
from seq2seq.system.untrusted_files import why_no_file


@dataclass(frozen=True)
class Kind:
    """How to build and read a kind of vocabulary, and which settings it ignores."""

    make: Callable[..., VocabularyPair]
    read: Callable[[bytes], Vocabulary]
    without: tuple[str, ...]


_SENTENCEPIECE = Kind(train_subwords, adopt_subwords, ("min_frequency", "tokenizer"))
KINDS = {
    "unigram": _SENTENCEPIECE,
    "bpe": _SENTENCEPIECE,
    "word": Kind(
        count_words,
        Words,
        ("kind", "character_coverage", "byte_fallback", "normalization", "most_sentences", "seed"),
    ),
}


def build_subwords(
    split: Dataset,
    *,
    kind: str = "unigram",
    source_model: str | Path | None = None,
    target_model: str | Path | None = None,
    joint: bool = True,
    extend: bool = False,
    **settings: Any,
) -> VocabularyPair:
    """Read the user's own vocabularies, or build those of a training split.

    Args:
        split: the training split.
        kind: "unigram" or "bpe" (SentencePiece), or "word".
        source_model: file of a SentencePiece model or of `Words`, for both sides if `joint` and
            without target_model; None: build it.
        target_model: the same for the target side.
        joint: use one vocabulary for both sides.
        extend: append the missing pieces of the split's vocabularies to the user's own
            (`extend_vocabularies`); needs models for both sides.
        settings: see `train_subwords` and `count_words`; each kind ignores settings of others.

    Raises:
        DataError: if a file is missing or damaged, or a setting is wrong.
    """
    builder = KINDS[among("data.subwords.kind", kind, tuple(KINDS))]
    own = [
        None if path is None else _own(path, builder.read) for path in (source_model, target_model)
    ]
    if joint and (own[0] or own[1]):
        own = [own[0] or own[1], own[1] or own[0]]
    if own[0] is not None and own[1] is not None:
        pair = VocabularyPair(own[0], own[0] if own[0] == own[1] else own[1])
        return extend_vocabularies(pair, split, **settings) if extend else pair
    used = {"kind": kind, **settings}
    pair_of_split = builder.make(
        split, joint=joint, **{name: used[name] for name in used if name not in builder.without}
    )
    return VocabularyPair(own[0] or pair_of_split.source, own[1] or pair_of_split.target)


def _own(path: str | Path, read: Callable[[bytes], Vocabulary]) -> Vocabulary:
    path = Path(os.path.expanduser(path))
    if not path.is_file():
        raise DataError(why_no_file(path, "subword model"))
    try:
        return read(path.read_bytes())
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
