"""The script that prepares Gigaword, on made-up corpora in every layout."""

import gzip
import importlib.util
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from seq2seq.data.corpora.gigaword import Gigaword

SCRIPT = Path(__file__).parents[2] / "scripts" / "prepare_gigaword.py"
RELEASE = {
    "sumdata/train/train.article.txt": "a UNK b\nc d e\n",
    "sumdata/train/train.title.txt": "a b\nc <unk>\n",
    "sumdata/train/valid.article.txt": "not this\n",
    "sumdata/train/valid.title.txt": "not this\n",
    "sumdata/train/valid.article.filter.txt": "v w\n",
    "sumdata/train/valid.title.filter.txt": "v\n",
    "sumdata/DUC2004/input.txt": "nor this\n",
    "sumdata/DUC2004/task1_ref0.txt": "nor this\n",
    "sumdata/Giga/input.txt": "t u\n",
    "sumdata/Giga/task1_ref0.txt": "t\n",
}


def as_folder(path, files):
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    return path


def as_tar(path, files):
    target = path / "summary.tar.gz"
    with tarfile.open(target, "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return target


def as_zip(path, files):
    target = path / "summary.zip"
    with zipfile.ZipFile(target, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return target


@pytest.fixture
def prepare(tmp_path):
    specification = importlib.util.spec_from_file_location("prepare_gigaword", SCRIPT)
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    return lambda source: script.main([str(source), "--root", str(tmp_path / "out")])


@pytest.mark.parametrize("pack", [as_folder, as_tar, as_zip])
def test_the_release_becomes_what_the_corpus_reads(prepare, tmp_path, pack, capsys):
    given = tmp_path / "given"
    given.mkdir()
    assert prepare(pack(given, RELEASE)) == 0
    corpus = Gigaword(tmp_path / "out").load()
    rows = {name: [tuple(row.values()) for row in split] for name, split in corpus.items()}
    assert rows == {
        "train": [("a UNK b", "a b"), ("c d e", "c <unk>")],
        "validation": [("v w", "v")],
        "test": [("t u", "t")],
    }
    report = capsys.readouterr().out
    # 2 of the 3 + 3 + 2 + 2 words are unk.
    assert "2 pairs, 3.0 and 2.0 words a line, 20.00 % of them unk" in report
    assert "(the published split has 3,803,957 pairs)" in report


def test_packed_files_in_a_folder(prepare, tmp_path):
    (tmp_path / "given").mkdir()
    for split in ("train10k", "valid1k", "test1951"):
        for side in ("article", "title"):
            packed = gzip.compress(f"{split} {side}\n".encode())
            (tmp_path / "given" / f"{split}.{side}.gz").write_bytes(packed)
    assert prepare(tmp_path / "given") == 0
    assert Gigaword(tmp_path / "out").load()["train"][0] == {
        "source": "train10k article",
        "target": "train10k title",
    }


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("sumdata/train/train.title.txt", "a b\n", "train.title.txt ends before line 2"),
        ("sumdata/Giga/task1_ref0.txt", "\n", "line 1 of sumdata/Giga/task1_ref0.txt is empty"),
        ("sumdata/Giga/input.txt", None, "no files of the test split: looked for test.article and"),
    ],
)
def test_errors_are_reported_and_leave_no_partial_files(
    prepare, tmp_path, capsys, name, text, message
):
    files = {**RELEASE, name: text}
    files = {path: content for path, content in files.items() if content is not None}
    assert prepare(as_folder(tmp_path / "given", files)) == 1
    assert message in capsys.readouterr().err
    kind = "train" if "train" in name else "test"
    assert not list((tmp_path / "out").glob(f"*{kind}*"))


def test_a_path_that_is_not_a_corpus_is_an_error(prepare, tmp_path, capsys):
    assert prepare(tmp_path / "nowhere") == 1
    assert f"there is no {tmp_path / 'nowhere'}" in capsys.readouterr().err
    (tmp_path / "file").write_text("text")
    assert prepare(tmp_path / "file") == 1
    assert "neither a folder nor a tar or zip archive" in capsys.readouterr().err
