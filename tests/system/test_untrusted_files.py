"""Untrusted files must be regular, with limits on their size and lines."""

import gzip
import os
from pathlib import Path

import pytest

from seq2seq.data.corpora.lines import read_lines
from seq2seq.data.corpora.readers import read_segments
from seq2seq.system import untrusted_files
from seq2seq.system.errors import DataError
from seq2seq.system.untrusted_files import LONGEST_LINE, parse_json, read_bounded, shown


def test_a_line_without_end_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "train.txt"
    path.write_bytes(b"first\n" + b"x" * LONGEST_LINE + b"\n")
    with pytest.raises(DataError, match=r"line 2 of .*train\.txt has more than 1,048,576 bytes"):
        list(read_lines(path))


def test_a_file_that_unpacks_to_far_more_than_text_does_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "train.txt.gz"
    path.write_bytes(gzip.compress(b"word word word\n" * 100_000))
    assert sum(1 for _ in read_lines(path)) == 100_000, "small files may be as dense as they like"
    monkeypatch.setattr(untrusted_files, "MOST_UNPACKED", 1 << 20)
    with pytest.raises(DataError, match=r"unpacks to more than 200 times its size"):
        list(read_lines(path))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_refused_without_blocking(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.yaml")
    with pytest.raises(DataError, match="not a regular file"):
        read_bounded(tmp_path / "config.yaml", 10, "configuration")


def test_a_file_that_is_too_large_is_not_read_whole(tmp_path: Path) -> None:
    with (tmp_path / "words.json").open("wb") as file:
        file.truncate(1 << 40)  # of holes
    with pytest.raises(DataError, match="too large: a word list has at most 1,024 bytes"):
        read_bounded(tmp_path / "words.json", 1024, "word list")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "5,000 digits"),
        (r'["\ud800"]', "not Unicode"),
        (b"\xff", "not JSON"),
        ("{", "not JSON"),
    ],
)
def test_every_damage_of_json_raises_the_same_error(text: str | bytes, what: str) -> None:
    with pytest.raises(DataError, match=what):
        parse_json(text)


def test_untrusted_text_cannot_move_the_cursor_of_a_terminal() -> None:
    assert shown("a\x1b[2Jb\nc") == r"a\x1b[2Jb\x0ac"
    assert shown("x" * 100, 10) == "x" * 10 + "…"


@pytest.mark.parametrize("line", ["<seg>" * 100_000, "<seg " * 100_000 + "</seg>"])
def test_segments_without_end_take_no_time(tmp_path: Path, line: str) -> None:
    path = tmp_path / "test.sgm"
    path.write_text(f'{line}\n<seg id="1"> right </seg>\n')
    with pytest.raises(DataError, match=r"line 1 of .*test\.sgm (begins|closes) a segment"):
        list(read_segments(path, ["source"]))
