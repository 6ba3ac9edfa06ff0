"""The download script against a real HTTP server on this machine."""

import hashlib
import importlib.util
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "prepare_multi30k.py"
CONTENT = {
    f"{split}.{language}.gz": os.urandom(100_000)
    for split in ("train", "val")
    for language in ("en", "de", "fr")
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.rsplit("/", 1)[-1]
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        self.server.requests.append((name, start))
        fault = self.server.faults.pop(name, None)
        body = CONTENT[name][start:]
        if fault == "missing":
            self.send_error(404)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault == "cut":
            body = body[: len(body) // 2]
        if fault == "corrupt":
            body = bytes(len(body))
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.requests, server.faults = [], {}
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def prepare(server, tmp_path, monkeypatch):
    specification = importlib.util.spec_from_file_location("prepare_multi30k", SCRIPT)
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    files = {name: (len(x), hashlib.sha256(x).hexdigest()) for name, x in CONTENT.items()}
    monkeypatch.setattr(script, "FILES", files)
    monkeypatch.setattr(script, "PAUSE", 0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    url = f"http://127.0.0.1:{server.server_port}/raw/"
    return lambda *more: script.main(["--root", str(tmp_path), "--url", url, *more])


def stored(tmp_path):
    return {path.name: path.read_bytes() for path in (tmp_path / "raw").iterdir()}


def test_all_files_arrive_and_a_second_run_asks_for_nothing(prepare, server, tmp_path):
    assert prepare("--languages", "en,de,fr") == 0
    assert stored(tmp_path) == CONTENT
    server.requests.clear()
    assert prepare("--languages", "en,de,fr") == 0
    assert server.requests == []


def test_only_the_languages_asked_for(prepare, tmp_path):
    assert prepare("--languages", "en,fr") == 0
    assert {name.split(".")[1] for name in stored(tmp_path)} == {"en", "fr"}


def test_interrupted_download_goes_on_where_it_stopped(prepare, server, tmp_path):
    server.faults["train.en.gz"] = "cut"
    assert prepare("--languages", "en") == 0
    assert server.requests[:2] == [("train.en.gz", 0), ("train.en.gz", 50_000)]
    assert stored(tmp_path)["train.en.gz"] == CONTENT["train.en.gz"]


def test_what_an_earlier_run_left_is_used(prepare, server, tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "val.en.gz.part").write_bytes(CONTENT["val.en.gz"][:70_000])
    assert prepare("--languages", "en") == 0
    assert ("val.en.gz", 70_000) in server.requests
    assert stored(tmp_path) == {n: x for n, x in CONTENT.items() if ".en." in n}


@pytest.mark.parametrize("rest", [b"wrong", b"too long" * 100_000, bytes(100_000)])
def test_wrong_remains_of_an_earlier_run_do_not_spoil_the_file(prepare, tmp_path, rest):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "val.en.gz.part").write_bytes(rest)
    assert prepare("--languages", "en") == 0
    assert stored(tmp_path)["val.en.gz"] == CONTENT["val.en.gz"]


def test_corrupted_download_is_fetched_again(prepare, server, tmp_path):
    server.faults["train.en.gz"] = "corrupt"
    assert prepare("--languages", "en") == 0
    assert stored(tmp_path)["train.en.gz"] == CONTENT["train.en.gz"]


def test_file_that_stays_corrupt_never_gets_its_name(prepare, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(CONTENT, "val.en.gz", bytes(100_000))
    assert prepare("--languages", "en") == 1
    assert "val.en.gz" not in stored(tmp_path)
    assert "its content is not the expected one" in capsys.readouterr().err


def test_wrong_file_in_place_is_replaced(prepare, tmp_path, capsys):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "train.en.gz").write_bytes(b"something else")
    assert prepare("--languages", "en") == 0
    assert stored(tmp_path)["train.en.gz"] == CONTENT["train.en.gz"]


def test_offline_names_url_file_and_place(prepare, server, tmp_path, capsys):
    assert prepare("--languages", "en", "--url", "http://127.0.0.1:9/raw") == 1
    message = capsys.readouterr().err
    assert "http://127.0.0.1:9/raw/train.en.gz could not be downloaded" in message
    assert str(tmp_path / "raw" / "train.en.gz") in message


def test_checksums_are_those_of_the_corpus(external_corpora):
    specification = importlib.util.spec_from_file_location("prepare_multi30k", SCRIPT)
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    lines = (external_corpora / "multi30k" / "UPSTREAM_SHA256.txt").read_text().splitlines()
    expected = [line.split() for line in lines if line and not line.startswith("#")]
    assert {n: (int(size), d) for d, size, n in expected} == script.FILES
