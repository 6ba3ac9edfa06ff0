"""Read pretrained word vectors from text files: GloVe, word2vec, fastText's .vec."""

from __future__ import annotations

import bz2
import gzip
import itertools
import logging
import lzma
import math
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import rich.progress
from numpy.typing import NDArray
from rich.console import Console
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from seq2seq.data.cache import cache_folder as default_cache_folder
from seq2seq.data.cache import content_key, tell_damaged
from seq2seq.system.atomic_writing import follow_umask, replacing
from seq2seq.system.errors import DataError
from seq2seq.system.untrusted_files import bounded_lines, why_no_file

logger = logging.getLogger(__name__)

VERSION = 1  # part of the cache key: raise it if the same file gives other vectors
UNPACKED: dict[str, Callable[[BinaryIO], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
}
LINES_FOR_SIZE = 100  # lines from which the size of the vectors is detected
LONGEST_VECTOR = 10_000  # numbers; published ones have 50 to 1,024


@dataclass(frozen=True)
class WordVectors:
    """Vectors of the words of a vocabulary.

    Attributes:
        vectors: ``[word, size]`` float32, zeros where the word is not in the file.
        known: ``[word]`` bool, True where the word is in the file.
    """

    vectors: NDArray[np.float32]
    known: NDArray[np.bool_]


def word_vectors(
    path: str | Path, words: Sequence[str], *, cache_folder: str | Path | None = None
) -> WordVectors:
    """Read the vectors of some words from a text file, and cache them.

    A line is a word and its numbers, separated by blanks. The first line may be the number of words
    and the size of the vectors instead (word2vec, fastText). Words may contain blanks, as in
    glove.840B. If a word occurs twice, its first vector is used.

    The cache identifies a file by its path, its size and the time of its last change.

    Args:
        path: the file, which may be compressed (.gz, .bz2, .xz).
        words: the words of the vocabulary.
        cache_folder: cache folder for the vectors; None: the default folder.

    Raises:
        DataError: if the file is missing, has no word vectors, or has none of the words.
    """
    path = Path(os.path.expanduser(path))
    if not path.is_file():
        raise DataError(why_no_file(path, "file of word vectors"))
    state = path.stat()
    key = content_key(VERSION, str(path.resolve()), state.st_size, state.st_mtime_ns, list(words))
    cached = default_cache_folder(cache_folder) / "vectors" / f"{key}.safetensors"
    damage: object = None
    try:
        loaded = WordVectors(**load_file(cached))
        if not len(loaded.vectors) == len(loaded.known) == len(words):
            damage = "rows are missing"
    except FileNotFoundError:
        loaded = None
    except (SafetensorError, TypeError) as error:
        loaded, damage = None, error
    if damage is not None:
        tell_damaged(cached, damage)
    if loaded is None or damage is not None:
        loaded = _read(path, words)
        with replacing(cached) as temporary:
            save_file({"vectors": loaded.vectors, "known": loaded.known}, temporary)
            follow_umask(temporary)
    number = int(loaded.known.sum())
    logger.info(
        "%s of %s words have a vector in %s; the other %s start with random vectors",
        f"{number:,}",
        f"{len(words):,}",
        path,
        f"{len(words) - number:,}",
    )
    return loaded


def _read(path: Path, words: Sequence[str]) -> WordVectors:
    console = Console(stderr=True)
    with rich.progress.open(
        path, "rb", description=path.name, console=console, disable=not console.is_terminal
    ) as file:
        unpacked = UNPACKED.get(path.suffix.lower())
        content = unpacked(file) if unpacked else file
        lines = bounded_lines(content, path, path.stat().st_size if unpacked else None)
        try:
            return _vectors(lines, words, path)
        except (EOFError, lzma.LZMAError, zlib.error, OSError) as error:
            raise DataError(f"{path} cannot be read: {error}") from error


def _vectors(lines: Iterable[bytes], words: Sequence[str], path: Path) -> WordVectors:
    """Return the vectors in the lines; malformed lines of the words are skipped and logged."""
    numbered = enumerate(lines, start=1)
    first = list(itertools.islice(numbered, LINES_FOR_SIZE))
    if first and _is_header(first[0][1]):
        del first[0]
    size = _vector_size([line for _, line in first], path)
    index = {word.encode("utf-8", "surrogatepass"): i for i, word in enumerate(words)}
    if size > LONGEST_VECTOR:
        raise DataError(
            f"{path} has {size:,} numbers per line, more than word vectors have (at most "
            f"{LONGEST_VECTOR:,}); check that each line has one word"
        )
    vectors = np.zeros((len(words), size), np.float32)
    known = np.zeros(len(words), bool)
    malformed: list[int] = []
    for number, line in itertools.chain(first, numbered):
        begin = line.split(b" ", 1)[0]
        if begin not in index:  # skips most of the lines quickly
            continue
        word, *values = line.rstrip(b" \r\n").rsplit(b" ", size)
        vector = _floats(values) if len(values) == size else None
        if vector is None:
            malformed.append(number)
        elif word in index and not known[index[word]]:
            vectors[index[word]], known[index[word]] = vector, True
    if malformed:
        logger.warning(
            "%s line(s) of %s skipped: not a word with %s numbers, first in line %s",
            f"{len(malformed):,}",
            path,
            size,
            f"{malformed[0]:,}",
        )
    if not known.any():
        raise DataError(
            f"{path} has none of the {len(words):,} words of the vocabulary; check its language, "
            "and set data.subwords.lowercase=true if its words are lower-case"
        )
    return WordVectors(vectors, known)


def _is_header(line: bytes) -> bool:
    fields = line.split()
    return len(fields) == 2 and all(field.isdigit() for field in fields)


def _vector_size(lines: list[bytes], path: Path) -> int:
    """Return how many numbers a line has: the most frequent number of fields, minus 1."""
    fields = Counter(len(line.rstrip().split(b" ")) for line in lines)
    size = fields.most_common(1)[0][0] - 1 if fields else 0
    if size < 1 or not any(_floats(line.rstrip().split(b" ")[-size:]) for line in lines):
        raise DataError(
            f"{path} is not a text file of word vectors, with a word and its numbers on each line, "
            "separated by blanks; unpack a .zip, and convert a .bin"
        )
    return size


def _floats(values: list[bytes]) -> list[float] | None:
    """Return the values as numbers; None if a value is not a finite number."""
    try:
        numbers = [float(value) for value in values]
    except ValueError:
        return None
    return numbers if all(map(math.isfinite, numbers)) else None
