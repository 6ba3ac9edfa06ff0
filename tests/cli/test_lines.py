"""Input that is not text: an error names the line, and memory stays bounded."""

import bz2
import gzip
import logging
import lzma
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from seq2seq.cli.lines import Terminal, check_files, decoded, reader, writer
from seq2seq.system.untrusted_files import LONGEST_LINE


def read(path: Path) -> list[str]:
    with reader(str(path)) as lines:
        return list(decoded(lines, path.name))


def test_a_line_of_many_gigabytes_is_refused_after_its_first_megabyte(tmp_path: Path) -> None:
    with (tmp_path / "input.txt").open("wb") as file:
        file.write(b"a sentence\r\n")
        file.truncate(1 << 40)  # of zeros
    with reader(str(tmp_path / "input.txt")) as lines:
        texts = decoded(lines, "input.txt")
        assert next(texts) == "a sentence"
        with pytest.raises(ValueError, match=r"line 2 of .*input\.txt has more than 1,048,576 by"):
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


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\ufeffone\n\ufefftwo\n", encoding="utf-8")
    assert read(path) == ["one", "\ufefftwo"]


def test_packed_input_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"one\r\ntwo", mtime=0))
    assert read(path) == ["one", "two"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("zwölf\n".encode("utf-16"), r"a\.txt is UTF-16; .*iconv -f utf-16 -t utf-8 a\.txt"),
        ("zwölf\n".encode("utf-16-be"), "has zero bytes, as in UTF-16"),
        (b"\x28\xb5\x2f\xfd\x04", r"is compressed with zstd; unpack it: zstd -d"),
        (gzip.compress(b"one\n", mtime=0), r"is compressed with gzip; name the file .*a\.txt\.gz"),
        (b"PK\x03\x04\x14", "is a ZIP archive or a spreadsheet"),
        (b"one\nzw\xf6lf\n", r"line 2 of a\.txt is not UTF-8 \(byte 0xf6 at column 3\)"),
    ],
)
def test_a_file_that_is_not_text_is_reported_with_its_kind(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read(path)


def test_closed_streams_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(ValueError, match="standard input, which is closed; give input=FILE"):
        reader("-")
    monkeypatch.setattr("sys.stdout", None)
    with pytest.raises(ValueError, match="standard output, which is closed; give a file"):
        writer("-")


def test_a_failure_keeps_the_output_of_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "out.txt"
    path.write_text("before\n")
    with pytest.raises(ZeroDivisionError), writer(str(path)):
        1 / 0  # noqa: B018
    assert [p.name for p in tmp_path.iterdir()] == ["out.txt"]

    def fail_after_a_line() -> None:
        with writer(str(path)) as file:
            file.write("first\n")
            raise ZeroDivisionError

    with caplog.at_level(logging.WARNING), pytest.raises(ZeroDivisionError):
        fail_after_a_line()
    assert path.read_text() == "before\n"
    assert (tmp_path / "out.txt.part").read_text() == "first\n"
    assert "out.txt.part" in caplog.text
    with writer(str(path)) as file:
        file.write("all\n")
    assert path.read_text() == "all\n"
    assert [p.name for p in tmp_path.iterdir()] == ["out.txt"]


def test_devices_are_written_to_as_they_are() -> None:
    with writer(os.devnull) as file:
        file.write("all\n")
    assert not Path(os.devnull).is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_a_terminal_gets_no_control_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    import pty  # which Windows lacks

    controller, terminal = pty.openpty()
    with os.fdopen(controller, "rb", buffering=0) as shown, os.fdopen(terminal, "w") as stdout:
        monkeypatch.setattr("sys.stdout", stdout)
        with writer("-") as out:
            assert isinstance(out, Terminal)
            out.write("a\x1b[2J\x9b\x07b\tmī\u200cravad\n")
            out.flush()
        assert shown.read(100).decode() == "a\\x1b[2J\\x9b\\x07b\tmī\u200cravad\r\n"


def test_a_pipe_gets_the_lines_as_they_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "out").open("w", encoding="utf-8") as stdout:
        monkeypatch.setattr("sys.stdout", stdout)
        with writer("-") as out:
            out.write("\x1b[2J\n")
    assert (tmp_path / "out").read_text() == "\x1b[2J\n"


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_packed_input_that_is_damaged_is_named(tmp_path: Path, suffix: str, damage: str) -> None:
    path = tmp_path / f"a.txt{suffix}"
    pack = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}[suffix]
    content = bytearray(pack(b"".join(b"line %d\n" % n for n in range(9000))))
    middle = len(content) // 2
    if damage == "cut":
        del content[middle:]
    else:
        content[middle : middle + 9] = b"\xff" * 9
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.txt.* cannot be read after line"):
        read(path)


def test_links_that_lead_to_each_other_are_told(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    check_files(str(loop), 1, input=str(tmp_path / "other"))
    with pytest.raises(OSError, match="loop"):
        read(loop)
    with writer(str(loop)) as out:
        out.write("a line\n")
    assert loop.read_text() == "a line\n"


@pytest.mark.parametrize("output", [None, True])
def test_an_output_without_a_name_is_refused(output: Any) -> None:
    with pytest.raises(ValueError, match=f"output={output}: give the name of a file"):
        check_files(output, 1, input="a.txt")
