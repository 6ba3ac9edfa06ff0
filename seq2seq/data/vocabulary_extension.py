"""Extend vocabularies: append new pieces, and keep the ids of the old pieces."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import sentencepiece
from datasets import Dataset
from sentencepiece import sentencepiece_model_pb2 as _generated

from seq2seq.data.batch import UNK_ID
from seq2seq.data.cache import cache_folder as default_cache_folder
from seq2seq.data.cache import content_key, texts_key
from seq2seq.data.subword_training import cached_model, texts_of, train_model
from seq2seq.data.subwords import SPACE, Subwords
from seq2seq.data.vocabulary import Vocabulary
from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.data.word_counts import counted_words
from seq2seq.data.words import SPECIALS, Words
from seq2seq.system.errors import DataError

logger = logging.getLogger(__name__)

sentencepiece_model_pb2: Any = _generated  # creates its classes at run time
EXTENSION_VERSION = 1  # part of the cache key: raise it if the same texts add other pieces
#: Options of SentencePiece's trainer that are taken from the old model: they limit the pieces.
SPECIFIED = (
    "byte_fallback",
    "split_by_unicode_script",
    "split_by_number",
    "split_by_whitespace",
    "split_digits",
    "treat_whitespace_as_suffix",
    "allow_whitespace_only_pieces",
    "max_sentencepiece_length",
)


def extend_vocabularies(
    pair: VocabularyPair,
    split: Dataset,
    *,
    size: int = 8000,
    character_coverage: float = 1.0,
    most_sentences: int = 500_000,
    seed: int = 0,
    min_frequency: int = 1,
    cache_folder: str | Path | None = None,
    **_: Any,
) -> VocabularyPair:
    """Append the missing pieces of a training split's own vocabularies to old vocabularies.

    The split's own vocabulary has the kind, the normalization and the word boundaries of the old
    one. Other settings that the old vocabulary determines are ignored.

    Args:
        pair: the old vocabularies; a vocabulary that both sides share stays shared.
        split: the training split.
        size: size of the split's own vocabulary, so the largest number of new pieces.
        character_coverage: for subwords only; see `train_subwords`.
        most_sentences: for subwords only; see `train_subwords`.
        seed: for subwords only; see `train_subwords`.
        min_frequency: for words only; see `count_words`.
        cache_folder: cache folder for the vocabularies; None: the default folder.

    Raises:
        DataError: if a SentencePiece model is neither unigram nor BPE.
    """

    def extended(old: Vocabulary, columns: Sequence[str]) -> Vocabulary:
        if isinstance(old, Words):
            return _extended_words(old, split, columns, size, min_frequency, cache_folder)
        assert isinstance(old, Subwords)
        options = {
            "vocab_size": size,
            "character_coverage": character_coverage,
            "input_sentence_size": most_sentences,
        }
        return _extended_subwords(old, split, columns, options, seed, cache_folder)

    if pair.joint:
        joint = extended(pair.source, ["source", "target"])
        return VocabularyPair(joint, joint)
    return VocabularyPair(extended(pair.source, ["source"]), extended(pair.target, ["target"]))


def written_before(old: Vocabulary, new: Vocabulary) -> list[list[int]]:
    """Return for each id that ``new`` adds to ``old`` the old ids that write its text.

    Returns:
        a list of ids for each added id; [] if ``old`` cannot write its text, such as a new word.

    Raises:
        ValueError: if ``new`` does not begin with the pieces of ``old``.
    """
    kept = range(old.size)
    if type(old) is not type(new) or new.size < old.size or old.pieces(kept) != new.pieces(kept):
        raise ValueError(f"the new {new.kind} does not begin with the pieces of the old one")
    added = new.pieces(range(old.size, new.size))
    if not isinstance(old, Subwords):
        return [[] for _ in added]
    written = [list(map(int, ids)) for ids in _literal(old.model).encode_batch(added)]
    return [[] if UNK_ID in ids else ids for ids in written]


def _extended_words(
    old: Words,
    split: Dataset,
    columns: Sequence[str],
    size: int,
    min_frequency: int,
    cache_folder: str | Path | None,
) -> Words:
    settings = (size, min_frequency, old.lowercase, old.tokenizer)
    counted = counted_words(split, columns, settings, cache_folder)
    words = old.pieces(range(len(SPECIALS), old.size))
    known = set(words)
    new = [word for word in counted.pieces(range(len(SPECIALS), counted.size)) if word not in known]
    _tell(len(new), old, columns)
    if not new:
        return old
    return Words.of([*words, *new], lowercase=old.lowercase, tokenizer=old.tokenizer)


def _extended_subwords(
    old: Subwords,
    split: Dataset,
    columns: Sequence[str],
    options: dict[str, Any],
    seed: int,
    cache_folder: str | Path | None,
) -> Subwords:
    folder = default_cache_folder(cache_folder)
    keys = [texts_key(split, column, folder) for column in columns]
    versions = (EXTENSION_VERSION, sentencepiece.__version__)
    key = content_key(*versions, old.model, keys, sorted(options.items()), seed)

    def trained() -> Subwords:
        logger.info("training the new subwords of %s", " and ".join(columns))
        return _with_new_pieces(old, texts_of(split, columns), options, seed)

    extended = cached_model(folder / "subwords" / f"{key}.model", trained)
    _tell(extended.size - old.size, old, columns)
    return extended


def _tell(number: int, old: Vocabulary, columns: Sequence[str]) -> None:
    pieces = f"{number:,} new pieces after the {old.size:,} old ones"
    logger.info("vocabulary of %s: %s", " and ".join(columns), pieces)


def _with_new_pieces(
    old: Subwords, texts: Iterator[str], options: dict[str, Any], seed: int
) -> Subwords:
    proto = _parsed(old.model)
    kinds = sentencepiece_model_pb2.ModelProto.SentencePiece
    merges = proto.trainer_spec.model_type == proto.trainer_spec.BPE
    trained = _parsed(train_model(_normalized(old, texts), _settings(proto, options), seed))
    known = {piece.piece for piece in proto.pieces}
    new = [p for p in trained.pieces if p.type == kinds.NORMAL and p.piece not in known]
    if merges:
        # Old merges come first, so that new pieces are merged from old ones.
        lowest = min((p.score for p in proto.pieces if p.type == kinds.NORMAL), default=0.0)
        for rank, piece in enumerate(new, start=1):
            piece.score = lowest - rank
    candidate = _appended(proto, new)
    # Keep only new pieces that the extended model uses. If old merges prevent a new one, its row of
    # weights would never be trained.
    literal = _literal(candidate)
    ids = literal.encode_batch([piece.piece for piece in new])
    first = len(proto.pieces)
    reached = [piece for k, piece in enumerate(new) if ids[k].tolist() == [first + k]]
    return Subwords(_appended(proto, reached))


def _settings(proto: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options for training new pieces: those of the old model, and the user's.

    Raises:
        DataError: if the old model is neither unigram nor BPE.
    """
    spec = proto.trainer_spec
    kinds = {spec.UNIGRAM: "unigram", spec.BPE: "bpe"}
    if spec.model_type not in kinds:
        raise DataError(
            "init.extend_vocabulary=true needs a unigram or BPE vocabulary, but the checkpoint's "
            "SentencePiece model has words or characters; set init.extend_vocabulary=false"
        )
    return {
        **{name: getattr(spec, name) for name in SPECIFIED},
        "model_type": kinds[spec.model_type],
        "normalization_rule_name": "identity",  # the texts are normalized already
        "add_dummy_prefix": proto.normalizer_spec.add_dummy_prefix,
        **options,
    }


def _normalized(old: Subwords, texts: Iterator[str]) -> Iterator[str]:
    """Yield the texts in the normalization of the old model."""
    return (old.normalized(text).replace(SPACE, " ") for text in texts)


def _parsed(model: bytes) -> Any:
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(model)
    return proto


def _appended(proto: Any, pieces: Sequence[Any]) -> bytes:
    """Return the bytes of a model with pieces appended."""
    extended = sentencepiece_model_pb2.ModelProto()
    extended.CopyFrom(proto)
    extended.pieces.extend(pieces)
    extended.trainer_spec.vocab_size = len(extended.pieces)
    content: bytes = extended.SerializeToString()
    return content


def _literal(model: bytes) -> Subwords:
    """Return the model without its normalizer, so that it segments the written form of pieces."""
    proto = _parsed(model)
    normalizer = proto.normalizer_spec
    normalizer.name, normalizer.precompiled_charsmap = "identity", b""
    normalizer.add_dummy_prefix = normalizer.remove_extra_whitespaces = False
    normalizer.escape_whitespaces = False
    return Subwords(proto.SerializeToString())
