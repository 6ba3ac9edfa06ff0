"""Readers see the old file or folder or the new one, never a part."""

from pathlib import Path

import pytest

from seq2seq.system.atomic_writing import replacing, replacing_folder, write_atomically


def test_a_failed_write_keeps_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.glob(".file*")) == []


def test_a_folder_that_could_not_be_written_leaves_the_old_one_alone(tmp_path: Path) -> None:
    (tmp_path / "best").mkdir()

    def write() -> None:
        with replacing_folder(tmp_path / "best") as new:
            (new / "half").write_text("")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        write()
    assert [path.name for path in tmp_path.rglob("*")] == ["best"]
