"""Train subword models on a training split, and cache them."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import sentencepiece
from datasets import Dataset

from seq2seq.data.batch import BOS_ID, EOS_ID, PAD_ID, UNK_ID
from seq2seq.data.cache import cache_folder as default_cache_folder
from seq2seq.data.cache import content_key, tell_damaged, texts_key
from seq2seq.data.subwords import Subwords
from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.system.errors import DataError

logger = logging.getLogger(__name__)

TRAINING_VERSION = 2  # part of the cache key: raise it if the same settings train another model
LONGEST_BYTES = 4192  # SentencePiece's own limit: it skips longer texts
RESERVED = "\u2585"  # ▅: SentencePiece skips texts that hold it
KINDS = ("unigram", "bpe")
NORMALIZATIONS = ("nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf", "identity")
LOWERCASED = {rule: rule.removesuffix("_cf") + "_cf" for rule in NORMALIZATIONS[:4]}


def train_subwords(
    split: Dataset,
    *,
    kind: str = "unigram",
    size: int = 8000,
    joint: bool = True,
    character_coverage: float = 1.0,
    byte_fallback: bool = True,
    lowercase: bool = False,
    normalization: str = "nmt_nfkc",
    most_sentences: int = 500_000,
    seed: int = 0,
    cache_folder: str | Path | None = None,
) -> VocabularyPair:
    """Train SentencePiece on the `source` and `target` texts of a (training) split.

    The same texts and settings give the same model, byte for byte, and the model is cached. It
    records all settings.

    Args:
        split: the training split.
        kind: "unigram" or "bpe".
        size: number of pieces of a model; it has fewer if the texts do not yield so many.
        joint: train one model for both sides, instead of one for each.
        character_coverage: share of the characters that become pieces; the others are unknown.
        byte_fallback: encode unknown characters as bytes, so that no text is unknown.
        lowercase: fold the case, in training and in every later use.
        normalization: "nmt_nfkc", "nfkc" or "identity"; the first two also with "_cf" (fold case).
        most_sentences: train on at most this many sentences, drawn at random (from both sides if
            joint). Unigram training takes about 20 bytes of memory per character.
        seed: seed of the draw.
        cache_folder: cache folder for the models; None: the default folder.

    Raises:
        DataError: if a setting is wrong, or SentencePiece cannot train on these texts.
    """
    settings = {
        "model_type": among("data.subwords.kind", kind, KINDS),
        "vocab_size": size,
        "character_coverage": character_coverage,
        "byte_fallback": byte_fallback,
        "normalization_rule_name": _rule(normalization, lowercase),
        "input_sentence_size": most_sentences,
    }
    sides = [["source", "target"]] if joint else [["source"], ["target"]]
    models = [_cached_model(split, side, settings, seed, cache_folder) for side in sides]
    return VocabularyPair(models[0], models[-1])


def among(setting: str, value: str, allowed: tuple[str, ...]) -> str:
    """Return the value; raise `DataError` if it is not allowed."""
    if value not in allowed:
        raise DataError(f"{setting}={value} is none of: {', '.join(allowed)}")
    return value


def _rule(normalization: str, lowercase: bool) -> str:
    rule = among("data.subwords.normalization", normalization, NORMALIZATIONS)
    if lowercase and rule not in LOWERCASED:
        raise DataError(
            f"data.subwords.lowercase=true needs a normalization that can fold case, not {rule}; "
            "set data.subwords.normalization=nfkc"
        )
    return LOWERCASED[rule] if lowercase else rule


def _cached_model(
    split: Dataset,
    columns: list[str],
    settings: dict[str, Any],
    seed: int,
    cache_folder: str | Path | None,
) -> Subwords:
    folder = default_cache_folder(cache_folder)
    keys = [texts_key(split, column, folder) for column in columns]
    key = content_key(
        TRAINING_VERSION, sentencepiece.__version__, keys, sorted(settings.items()), seed
    )

    def trained() -> Subwords:
        logger.info("training %s subwords on %s", settings["model_type"], " and ".join(columns))
        model = Subwords(train_model(texts_of(split, columns), settings, seed))
        if model.size < settings["vocab_size"]:
            logger.info(
                "the texts yield only %d subwords of data.subwords.size=%d",
                model.size,
                settings["vocab_size"],
            )
        return model

    return cached_model(folder / "subwords" / f"{key}.model", trained)


def cached_model(path: Path, train: Callable[[], Subwords]) -> Subwords:
    """Load a model from the cache; if it is missing or damaged, train it and save it there.

    Args:
        path: file in the cache.
        train: function that returns the model.
    """
    if path.exists():
        try:
            return Subwords.load(path)
        except DataError as error:
            tell_damaged(path, error)
    model = train()
    model.save(path)
    return model


def texts_of(split: Dataset, columns: Iterable[str]) -> Iterator[str]:
    """Yield the texts of some columns, changed so that SentencePiece skips none of them."""
    for column in columns:
        yield from _texts(split, column)


def _texts(split: Dataset, column: str) -> Iterator[str]:
    reserved = 0
    for chunk in split.select_columns([column]).with_format("arrow").iter(batch_size=10_000):
        for text in chunk[column].to_pylist():
            if RESERVED in text:
                reserved += 1
                text = text.replace(RESERVED, " ")
            yield from _parts(text)
    if reserved:
        logger.warning(
            "%s text(s) of the %s side have the character %s (U+2585), which SentencePiece "
            "reserves, so it does not become a piece",
            f"{reserved:,}",
            column,
            RESERVED,
        )


def _parts(text: str) -> Iterator[str]:
    """Yield parts of a text of at most `LONGEST_BYTES`, cut at blanks if possible.

    Pieces do not cross blanks, so a cut at a blank does not change the counts of pieces.
    """
    most = LONGEST_BYTES // 4  # characters, of at most four bytes each
    start = 0
    while len(text) - start > most:
        blank = text.rfind(" ", start + 1, start + most)
        end = start + most if blank < 0 else blank
        yield text[start:end]
        start = end
    yield text[start:]


def train_model(texts: Iterable[str], settings: dict[str, Any], seed: int) -> bytes:
    """Train SentencePiece, with the special ids of `Subwords`; return the bytes of the model.

    Args:
        texts: the sentences.
        settings: other options of SentencePiece's trainer.
        seed: seed of the draw of sentences, if there are more than ``input_sentence_size``.

    Raises:
        DataError: if SentencePiece cannot train on these texts.
    """
    model = io.BytesIO()
    sentencepiece.set_random_generator_seed(seed)
    try:
        sentencepiece.SentencePieceTrainer.Train(
            sentence_iterator=iter(texts),
            model_writer=model,
            pad_id=PAD_ID,
            unk_id=UNK_ID,
            bos_id=BOS_ID,
            eos_id=EOS_ID,
            hard_vocab_limit=False,
            shuffle_input_sentence=True,
            num_threads=4,  # fixed, because the model depends on it
            minloglevel=2,
            **settings,
        )
    except (RuntimeError, ValueError) as error:
        raise DataError(_training_error(str(error), settings)) from error
    return model.getvalue()


def _training_error(message: str, settings: dict[str, Any]) -> str:
    size = settings["vocab_size"]
    if match := re.search(r"smaller than required_chars\D*\d+ vs (\d+)", message):
        return (
            f"data.subwords.size={size} is too small, because the special pieces and the "
            f"characters of the texts are {match[1]} already; raise it, or lower "
            "data.subwords.character_coverage"
        )
    return f"SentencePiece cannot train a model of {size} pieces on these texts: {message}"
