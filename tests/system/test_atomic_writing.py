"""Readers see the old file or folder or the new one, never a part."""

import contextlib
import os
import sys
from pathlib import Path

import pytest

from seq2seq.system.atomic_writing import (
    replacing,
    replacing_folder,
    replacing_output,
    write_atomically,
)


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


def test_an_output_is_replaced_whole_through_a_link(tmp_path: Path) -> None:
    path, link = tmp_path / "page.html", tmp_path / "link.html"
    path.write_text("old")
    link.symlink_to(path)
    with contextlib.suppress(OSError), replacing_output(link) as draft:
        draft.write_text("half")
        raise OSError("the disk is full")
    assert path.read_text() == "old"
    with replacing_output(link) as draft:
        draft.write_text("new")
    assert (link.is_symlink(), path.read_text()) == (True, "new")
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such devices")
def test_a_device_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    link = tmp_path / "null"
    link.symlink_to(os.devnull)
    with replacing_output(link) as draft:
        draft.write_text("anything")
    assert Path(os.devnull).is_char_device()
