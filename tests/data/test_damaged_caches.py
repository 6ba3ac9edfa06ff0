"""Damaged cache entries are logged and rebuilt, with the same data."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seq2seq.data.corpora.nli import Nli
from seq2seq.data.corpora.text import Text
from seq2seq.data.corpora.toy_headlines import ToyHeadlines
from seq2seq.data.parallel import ParallelData, prepare
from seq2seq.data.word_vectors import word_vectors

LINES = [f"a small sentence number {n} of {n % 7} houses" for n in range(80)]


def halved(content: bytes) -> bytes:
    return content[: len(content) // 2]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "halved": halved,
    "empty": lambda content: b"",
    "without its end": lambda content: content[:-3],
    "zeros": lambda content: bytes(len(content)),
    "noise": lambda content: np.random.default_rng(1).bytes(len(content)),
}


def write_once(path: Path, text: str) -> Path:
    """Set the time of a file to an hour ago, so that the cache stores its hash."""
    if not path.exists():
        path.write_text(text)
        os.utime(path, (time.time() - 3600,) * 2)
    return path


def pairs(folder: Path, kind: str) -> ParallelData:
    for side in ("source", "target"):
        write_once(folder / side, "\n".join(LINES) + "\n")
    files = {"source": folder / "source", "target": folder / "target"}
    corpus = Text(files, files, cache_folder=folder / "cache")
    subwords = {"kind": kind, "size": 60, "byte_fallback": False}
    return prepare(
        corpus,
        subwords=subwords,
        filters={"duplicates": True, "max_ratio": 2.0},
        cache=folder / "cache",
        processes=1,
    )


def translation(folder: Path) -> object:
    data = pairs(folder, "unigram")
    return [data.encoded("train").source[row].tolist() for row in range(80)]


def words(folder: Path) -> object:
    data = pairs(folder, "word")
    return [data.encoded("train").source[row].tolist() for row in range(80)]


def labels(folder: Path) -> object:
    rows = (f"{'-' if n % 9 == 0 else 'yes'}\ta\tb {n}\n" for n in range(80))
    path = write_once(folder / "pairs.tsv", "".join(rows))
    corpus = Nli(path, cache_folder=folder / "cache")
    return corpus.load()["train"]["target"][:], corpus.unlabeled


def drawn(folder: Path) -> object:
    corpus = ToyHeadlines(
        train_size=20, validation_size=2, test_size=2, cache_folder=folder / "cache"
    )
    return corpus.load()["train"]["source"][:]


def vectors(folder: Path) -> object:
    path = write_once(folder / "vectors.txt", "".join(f"w{n} {n} 1 2\n" for n in range(30)))
    named = [f"w{n}" for n in range(20)]
    return word_vectors(path, named, cache_folder=folder / "cache").vectors.tolist()


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("make", [translation, words, labels, drawn, vectors])
def test_a_damaged_entry_is_rebuilt(
    tmp_path: Path, make: Callable[[Path], object], damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "seq2seq")
    made = make(tmp_path)
    entries = sorted(path for path in (tmp_path / "cache").rglob("*") if path.is_file())
    assert entries
    for path in entries:
        content = path.read_bytes()
        path.unlink()  # what is mapped stays
        path.write_bytes(DAMAGES[damage](content))
        caplog.clear()
        assert make(tmp_path) == made, path
        told = [text for text in caplog.messages if "is damaged" in text]
        assert any(path.stem in text for text in told), (path, told)
        caplog.clear()
        assert make(tmp_path) == made, path
        assert not caplog.messages
