"""Shared setup of all tests: one thread per process, no network, the folder of real corpora."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

# Before torch is imported: with `pytest -n auto` each worker has its own core.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import hypothesis
import pytest
import torch
from datasets import Dataset

from seq2seq.data.subword_training import train_subwords
from seq2seq.data.vocabulary_pair import VocabularyPair

torch.set_num_threads(1)
# A test says what is right, not how fast: machines differ, and other work runs beside.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")

REPOSITORY = Path(__file__).parents[1]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than cores with ``-n auto``: many tests wait for a process of their own."""
    if given := os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS"):
        return int(given)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) + 1
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason="no CUDA device")
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def external_corpora() -> Path:
    """Return the folder of real corpora, which are not part of the project."""
    named = os.environ.get("SEQ2SEQ_SHARED")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the external corpora are not here ({folder}); set SEQ2SEQ_SHARED")
    return folder


@pytest.fixture(scope="session")
def subwords(tmp_path_factory: pytest.TempPathFactory) -> VocabularyPair:
    """Train a small joint SentencePiece model."""
    lines = [f"a small sentence number {n} with words" for n in range(200)]
    split = Dataset.from_dict({"source": lines, "target": lines})
    return train_subwords(
        split, size=60, byte_fallback=False, cache_folder=tmp_path_factory.mktemp("cache")
    )


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write prepared corpora to a folder of this test session, not to the user's cache."""
    folder = tmp_path_factory.getbasetemp() / "seq2seq-cache"
    monkeypatch.setenv("SEQ2SEQ_CACHE", str(folder))


class FileServer(ThreadingHTTPServer):
    """Serves `content` by file name; `faults` spoils the next answer for a name."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Files)
        self.url = f"http://127.0.0.1:{self.server_port}/files"
        self.content: dict[str, bytes] = {}
        self.faults: dict[str, str] = {}
        self.requests: list[tuple[str, int]] = []


class _Files(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        name = self.path.rsplit("/", 1)[-1]
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        self.server.requests.append((name, start))
        fault = self.server.faults.pop(name, None)
        if name not in self.server.content or fault == "missing":
            self.send_error(404)
            return
        body = self.server.content[name][start:]
        if start and not body:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault == "cut":
            body = body[: len(body) // 2]
        if fault == "corrupt":
            body = bytes(len(body))
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def file_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """Start an HTTP server on this machine to download from; attempts follow without a pause."""
    monkeypatch.setattr("seq2seq.data.download.PAUSE", 0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = FileServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()
