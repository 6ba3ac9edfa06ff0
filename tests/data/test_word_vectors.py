"""Word vectors in each text format, with the irregularities of published files."""

import gzip
import logging
import os

import numpy as np
import pytest

from seq2seq.data.word_vectors import word_vectors
from seq2seq.system.errors import DataError

WORDS = ["<pad>", "the", ".", "cat", "Straße", "absent"]
GLOVE = """the 0.1 0.2 -0.3
. . . 9 9 9
. 1 2 3
cat 4 5 6
at name@domain.com 7 7 7
Straße 1e-1 0 0
cat 8 8 8
"""
EXPECTED = {"the": [0.1, 0.2, -0.3], ".": [1, 2, 3], "cat": [4, 5, 6], "Straße": [0.1, 0, 0]}


def check(found):
    assert found.vectors.shape == (6, 3)
    assert found.vectors.dtype == np.float32
    assert [w for w, k in zip(WORDS, found.known, strict=True) if k] == [*EXPECTED]
    for word, vector in EXPECTED.items():
        np.testing.assert_allclose(found.vectors[WORDS.index(word)], vector, rtol=1e-6)
    assert (found.vectors[~found.known] == 0).all()


@pytest.mark.parametrize("header", ["", "7 3\n"], ids=["glove", "word2vec and fasttext"])
@pytest.mark.parametrize("end", ["\n", " \n", "\r\n"])
def test_every_format_gives_the_same_vectors(tmp_path, header, end):
    path = tmp_path / "vectors.txt"
    path.write_bytes((header + GLOVE).replace("\n", end).encode())
    check(word_vectors(path, WORDS))


def test_packed_files_are_unpacked(tmp_path):
    path = tmp_path / "cc.vec.gz"
    path.write_bytes(gzip.compress(GLOVE.encode()))
    check(word_vectors(path, WORDS))


def test_counts_are_logged_and_a_second_run_does_not_read_the_file(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    path = tmp_path / "vectors.txt"
    path.write_text(GLOVE, encoding="utf-8")
    check(word_vectors(path, WORDS))
    assert "4 of 6 words have a vector" in caplog.text
    state = path.stat()
    path.write_bytes(b"?" * state.st_size)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    check(word_vectors(path, WORDS))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 10**9))
    with pytest.raises(DataError, match="not a text file of word vectors"):
        word_vectors(path, WORDS)


def test_malformed_lines_are_counted_and_named(tmp_path, caplog):
    path = tmp_path / "vectors.txt"
    path.write_text("a 1 2\nthe 1 2\ncat 1 oops\n. 1 nan\n", encoding="utf-8")
    found = word_vectors(path, WORDS)
    assert found.known.tolist() == [False, True, False, False, False, False]
    assert "2 line(s)" in caplog.text
    assert "line 3" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04 binary \x00\xff", "not a text file of word vectors"),
        (b"", "not a text file of word vectors"),
        (b"der 1 2\ndie 3 4\n", "has none of the 6 words"),
    ],
)
def test_other_files_are_refused(tmp_path, content, message):
    path = tmp_path / "vectors.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        word_vectors(path, WORDS)


def test_what_is_no_file_is_named_with_the_reason(tmp_path):
    with pytest.raises(DataError, match=r"there is no file of word vectors .*nowhere\.txt"):
        word_vectors(tmp_path / "nowhere.txt", WORDS)
    with pytest.raises(DataError, match="is a folder, not a file of word vectors"):
        word_vectors(tmp_path, WORDS)
    with pytest.raises(DataError, match="/dev/null is a pipe or a device, which can be read only"):
        word_vectors("/dev/null", WORDS)
