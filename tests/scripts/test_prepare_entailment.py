"""The download script with a real HTTP server on this machine, and the resulting corpora."""

import hashlib
import importlib.util
import io
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from seq2seq.data.corpora.sick import Sick
from seq2seq.data.corpora.snli import Snli

SCRIPT = Path(__file__).parents[2] / "scripts" / "prepare_entailment.py"
SICK = (
    "pair_ID\tsentence_A\tsentence_B\tentailment_label\trelatedness_score\tSemEval_set\n"
    "1\tA man runs\tA man moves\tENTAILMENT\t4.1\tTRAIN\n"
    "3\tA man runs\tA dog runs\tNEUTRAL\t3.1\tTRIAL\n"
    "2\tA man runs\tNobody runs\tCONTRADICTION\t3.1\tTEST\n"
)
SNLI = '{"gold_label": "neutral", "sentence1": "A man runs.", "sentence2": "He is late."}\n'


def archive(files):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        for name, text in files.items():
            packed.writestr(name, text)
    return content.getvalue()


ARCHIVES = {
    "SICK.zip": archive({"SICK.txt": SICK, "readme.txt": "no"}),
    "snli_1.0.zip": archive(
        {f"snli_1.0/snli_1.0_{s}.jsonl": SNLI for s in ("train", "dev", "test")}
        | {"__MACOSX/snli_1.0/._snli_1.0_dev.jsonl": "no"}
    ),
}


@pytest.fixture
def prepare(file_server, tmp_path, monkeypatch):
    specification = importlib.util.spec_from_file_location("prepare_entailment", SCRIPT)
    script = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, "prepare_entailment", script)
    specification.loader.exec_module(script)
    for name, published in list(script.CORPORA.items()):
        content = ARCHIVES.get(published.archive.name, b"")
        file = replace(
            published.archive, size=len(content), sha256=hashlib.sha256(content).hexdigest()
        )
        monkeypatch.setitem(script.CORPORA, name, replace(published, archive=file))
    file_server.content = dict(ARCHIVES)
    arguments = ["--folder", str(tmp_path), "--mirror", file_server.url]
    return lambda *more: script.main([*more, *arguments])


def test_what_it_prepares_is_what_the_corpora_read(prepare, file_server, tmp_path):
    assert prepare("sick", "snli") == 0
    assert Sick(tmp_path / "sick").load()["test"][:] == {
        "label": ["CONTRADICTION"],
        "source": ["A man runs"],
        "target": ["Nobody runs"],
    }
    assert {s: len(x) for s, x in Snli(tmp_path / "snli").load().items()} == {
        "train": 1,
        "validation": 1,
        "test": 1,
    }
    assert not (tmp_path / "sick" / "readme.txt").exists()
    file_server.requests.clear()
    assert prepare("sick") == 0
    assert file_server.requests == []


def test_what_cannot_be_had_is_named(prepare, file_server, tmp_path, capsys):
    file_server.content.clear()
    assert prepare("sick") == 1
    assert str(tmp_path / "sick" / "SICK.zip") in capsys.readouterr().err
