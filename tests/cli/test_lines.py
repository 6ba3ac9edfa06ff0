"""Lines that are no text end with an error that says which, not in the memory."""

import os
from pathlib import Path

import pytest

from seq2seq.cli.lines import decoded, reader
from seq2seq.data.foreign import LONGEST_LINE


def test_a_line_of_many_gigabytes_is_refused_after_its_first_megabyte(tmp_path: Path) -> None:
    with (tmp_path / "input.txt").open("wb") as file:
        file.write(b"a sentence\r\n")
        file.truncate(1 << 40)  # of zeros
    with reader(str(tmp_path / "input.txt")) as lines:
        texts = decoded(lines, "input.txt")
        assert next(texts) == "a sentence"
        with pytest.raises(ValueError, match=r"input\.txt: line 2 has more than 1,048,576 bytes"):
            next(texts)


def test_lines_come_as_they_are_written_to_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading) as stdin, os.fdopen(writing, "wb", buffering=0) as pipe:
        monkeypatch.setattr("sys.stdin", stdin)
        with reader("-") as lines:
            texts = decoded(lines, "-")
            pipe.write(b"first\n")
            assert next(texts) == "first"
    assert LONGEST_LINE > 100_000, "articles are read"
