"""Build word vocabularies from the most frequent words of a training split."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from datasets import Dataset

from seq2seq.data.cache import cache_folder as default_cache_folder
from seq2seq.data.cache import content_key, tell_damaged, texts_key
from seq2seq.data.tokenizers import TOKENIZERS, WHITESPACE
from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.data.words import SPECIALS, Words
from seq2seq.system.errors import DataError

logger = logging.getLogger(__name__)

COUNTING_VERSION = 1  # part of the cache key: raise it if the same settings give other words


def count_words(
    split: Dataset,
    *,
    size: int = 8000,
    joint: bool = True,
    min_frequency: int = 1,
    lowercase: bool = False,
    tokenizer: str = WHITESPACE,
    cache_folder: str | Path | None = None,
) -> VocabularyPair:
    """Return the most frequent words of the `source` and `target` texts of a (training) split.

    Equally frequent words are taken in code-point order, so that the same texts and settings give
    the same file, byte for byte. The vocabulary is cached.

    Args:
        split: the training split.
        size: number of entries, including the four special ones; fewer if there are fewer words.
        joint: build one vocabulary for both sides, instead of one for each.
        min_frequency: drop words that occur less often than this.
        lowercase: fold the case, in counting and in every later use.
        tokenizer: name in `TOKENIZERS`; stored with the words.
        cache_folder: cache folder for the vocabularies; None: the default folder.

    Raises:
        DataError: if a setting is wrong, or leaves no word.
    """
    if size <= len(SPECIALS):
        raise DataError(
            f"data.subwords.size={size} leaves no room for words beside the "
            f"{len(SPECIALS)} special entries; raise it"
        )
    if min_frequency < 1:
        raise DataError(f"data.subwords.min_frequency={min_frequency} must be at least 1")
    if tokenizer not in TOKENIZERS:
        raise DataError(f"data.subwords.tokenizer={tokenizer} is none of: {', '.join(TOKENIZERS)}")
    settings = (size, min_frequency, lowercase, tokenizer)
    sides = [["source", "target"]] if joint else [["source"], ["target"]]
    found = [counted_words(split, side, settings, cache_folder) for side in sides]
    return VocabularyPair(found[0], found[-1])


def counted_words(
    split: Dataset,
    columns: Sequence[str],
    settings: tuple[int, int, bool, str],
    cache_folder: str | Path | None,
) -> Words:
    """Return the most frequent words of some columns; the result is cached.

    Args:
        split: the training split.
        columns: columns to count together.
        settings: ``size``, ``min_frequency``, ``lowercase`` and ``tokenizer`` of `count_words`.
        cache_folder: cache folder for the vocabularies; None: the default folder.
    """
    folder = default_cache_folder(cache_folder)
    keys = [texts_key(split, column, folder) for column in columns]
    key = content_key(COUNTING_VERSION, keys, settings)
    path = folder / "words" / f"{key}.json"
    if path.exists():
        try:
            return Words.load(path)
        except DataError as error:
            tell_damaged(path, error)
    logger.info("counting the words of %s", " and ".join(columns))
    words = _most_frequent(split, columns, *settings)
    words.save(path)
    return words


def _most_frequent(
    split: Dataset,
    columns: Sequence[str],
    size: int,
    min_frequency: int,
    lowercase: bool,
    tokenizer: str,
) -> Words:
    counts: Counter[str] = Counter()
    tokenize = TOKENIZERS[tokenizer]()
    for column in columns:
        texts = split.select_columns([column]).with_format("arrow")
        for chunk in texts.iter(batch_size=10_000):
            for text in chunk[column].to_pylist():
                counts.update(tokenize(text.lower() if lowercase else text))
    del counts[SPECIALS[1]]  # `<unk>` in a text is the unknown word
    total = counts.total()
    ranked = sorted(
        (word for word, count in counts.items() if count >= min_frequency),
        key=lambda word: (-counts[word], word),
    )[: size - len(SPECIALS)]
    if not ranked:
        raise DataError(
            f"no word occurs data.subwords.min_frequency={min_frequency} times in the texts; lower "
            "it"
        )
    share = sum(counts[word] for word in ranked) / total
    logger.info(
        "%s of %s distinct words; they cover %.1f %% of the words of %s",
        f"{len(ranked):,}",
        f"{len(counts):,}",
        100 * share,
        " and ".join(columns),
    )
    return Words.of(ranked, lowercase=lowercase, tokenizer=tokenizer)
