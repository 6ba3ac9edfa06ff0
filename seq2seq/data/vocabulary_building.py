"""The vocabularies of a corpus: made from its training side, or the user's own."""

from __future__ import annotations

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


@dataclass(frozen=True)
class Kind:
    """How a kind of vocabulary is made and read, and the settings that mean nothing to it."""

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
    """The user's own vocabularies where given, otherwise those of a training split.

    Args:
        split: the training split.
        kind: "unigram" or "bpe" (SentencePiece), or "word".
        source_model: a SentencePiece model, or the JSON file of `Words`; of both sides if joint and
            without target_model.
        target_model: the same of the target side.
        joint: one vocabulary for both sides.
        extend: append to the user's own vocabularies what they lack of the split's
            (`extend_vocabularies`); needs models of both sides.
        settings: see `train_subwords` and `count_words`; what means nothing to a kind is ignored.
    """
    made = KINDS[among("data.subwords.kind", kind, tuple(KINDS))]
    own = [None if path is None else _own(path, made.read) for path in (source_model, target_model)]
    if joint and (own[0] or own[1]):
        own = [own[0] or own[1], own[1] or own[0]]
    if own[0] is not None and own[1] is not None:
        pair = VocabularyPair(own[0], own[0] if own[0] == own[1] else own[1])
        return extend_vocabularies(pair, split, **settings) if extend else pair
    used = {"kind": kind, **settings}
    found = made.make(
        split, joint=joint, **{name: used[name] for name in used if name not in made.without}
    )
    return VocabularyPair(own[0] or found.source, own[1] or found.target)


def _own(path: str | Path, read: Callable[[bytes], Vocabulary]) -> Vocabulary:
    path = Path(path).expanduser()
    if not path.is_file():
        raise DataError(f"there is no subword model at {path.absolute()}")
    try:
        return read(path.read_bytes())
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
