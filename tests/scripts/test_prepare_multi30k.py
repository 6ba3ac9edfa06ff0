"""The download script with a real HTTP server on this machine."""

import hashlib
import importlib.util
import os
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "prepare_multi30k.py"
CONTENT = {
    f"{split}.{language}.gz": os.urandom(1_000)
    for split in ("train", "val")
    for language in ("en", "de", "fr")
}


@pytest.fixture
def script():
    specification = importlib.util.spec_from_file_location("prepare_multi30k", SCRIPT)
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    return script


@pytest.fixture
def prepare(file_server, script, tmp_path, monkeypatch):
    files = {name: (len(x), hashlib.sha256(x).hexdigest()) for name, x in CONTENT.items()}
    monkeypatch.setattr(script, "FILES", files)
    file_server.content = dict(CONTENT)
    arguments = ["--root", str(tmp_path), "--mirror", file_server.url]
    return lambda *more: script.main([*arguments, *more])


def stored(tmp_path):
    return {path.name: path.read_bytes() for path in (tmp_path / "raw").iterdir()}


def test_all_files_are_downloaded_and_a_second_run_requests_none(prepare, file_server, tmp_path):
    assert prepare("--languages", "en,de,fr") == 0
    assert stored(tmp_path) == CONTENT
    file_server.requests.clear()
    assert prepare("--languages", "en,de,fr") == 0
    assert file_server.requests == []


def test_only_the_languages_asked_for(prepare, tmp_path):
    assert prepare("--languages", "en,fr") == 0
    assert {name.split(".")[1] for name in stored(tmp_path)} == {"en", "fr"}


def test_offline_names_url_file_and_place(prepare, tmp_path, capsys):
    assert prepare("--languages", "en", "--mirror", "http://127.0.0.1:9/raw") == 1
    message = capsys.readouterr().err
    assert "http://127.0.0.1:9/raw/train.en.gz could not be downloaded" in message
    assert str(tmp_path / "raw" / "train.en.gz") in message


def test_checksums_are_those_of_the_corpus(script, external_corpora):
    lines = (external_corpora / "multi30k" / "UPSTREAM_SHA256.txt").read_text().splitlines()
    expected = [line.split() for line in lines if line and not line.startswith("#")]
    assert {n: (int(size), d) for d, size, n in expected} == script.FILES
