"""The server answers only its own page, within limits."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from seq2seq.checkpoint import Checkpoint
from seq2seq.explore.live import Live, Question
from seq2seq.explore.server import (
    MAX_BYTES,
    MAX_CHARACTERS,
    MAX_WAITING,
    Desk,
    application,
    patient_server,
)
from seq2seq.mappings import Fusedmax
from seq2seq.search import Beam

pytest.importorskip("starlette")
testclient = pytest.importorskip("starlette.testclient")
Request = pytest.importorskip("starlette.requests").Request

BASE = "http://127.0.0.1:8765"


@pytest.fixture
def live(checkpoints: list[Checkpoint], search: Beam) -> Live:
    return Live(checkpoints, search)


@pytest.fixture
def client(live: Live) -> Iterator[Any]:
    with testclient.TestClient(application("<p>the page</p>", live), base_url=BASE) as client:
        yield client


def test_it_serves_the_page_and_nothing_else(client: Any) -> None:
    page = client.get("/")
    assert (page.status_code, page.text) == (200, "<p>the page</p>")
    assert page.headers["x-frame-options"] == "DENY"
    for path in (
        "/etc/passwd",
        "/../pyproject.toml",
        "/answer/%2e%2e/%2e%2e/etc/passwd",
        "/model.safetensors",
    ):
        assert client.get(path).status_code == 404
    assert client.get("/answer").status_code == 405


def test_an_answer_is_the_task_s(client: Any, checkpoints: list[Checkpoint], search: Beam) -> None:
    for number, checkpoint in enumerate(checkpoints):
        question = {"model": number, "source": "a small sentence", "reference": "words"}
        answer = client.post("/answer", json=question).json()
        (expected,) = checkpoint.task.look(
            checkpoint.model,
            checkpoint.subwords,
            ["a small sentence"],
            ["words"],
            search=search,
        )
        assert answer["text"] == expected.text
        assert answer["looks"]["reading"]["target"] == expected.looks["reading"].target
        assert answer["score"] is not None
    alone = client.post("/answer", json={"model": 0, "source": "words"}).json()
    assert set(alone["looks"]) == {"writing"}
    assert alone["score"] is None


def test_parameters_apply_to_one_answer(client: Any, checkpoints: list[Checkpoint]) -> None:
    question: dict[str, Any] = {"model": 0, "source": "number 7 with words", "reference": "words"}
    before = client.post("/answer", json=question).json()
    changed = client.post("/answer", json={**question, "parameters": {"gamma": 50}}).json()
    after = client.post("/answer", json=question).json()
    (mapping,) = checkpoints[0].model.attention_mappings()["cross"]
    assert isinstance(mapping, Fusedmax)
    assert (mapping.gamma, mapping.lam) == (0.5, 0.05)
    assert after == before
    assert changed["looks"]["reading"]["zeros"] == 0.0 < before["looks"]["reading"]["zeros"]


def test_they_hold_in_every_layer_and_head(live: Live) -> None:
    dense = live.answer(Question(1, "a small sentence", "words", {"alpha": 1.0}))
    sparse = live.answer(Question(1, "a small sentence", "words", {"gamma": 1e-4}))
    assert dense["looks"]["reading"]["support"] == len(dense["looks"]["reading"]["source"])
    assert sparse["looks"]["reading"]["support"] == 1.0


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8765", 200),
        ("localhost:8765", 200),
        ("attacker.example", 400),
        ("127.0.0.1.attacker.example:8765", 400),
    ],
)
def test_another_host_name_is_refused(client: Any, host: str, status: int) -> None:
    assert client.get("/", headers={"host": host}).status_code == status
    answer = client.post("/answer", json={"source": "words"}, headers={"host": host})
    assert answer.status_code == status


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://attacker.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": BASE, "sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_another_origin_is_refused(client: Any, headers: dict[str, str]) -> None:
    answer = client.post("/answer", json={"source": "words"}, headers=headers)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


def test_its_own_origin_is_accepted(client: Any) -> None:
    headers = {"origin": BASE, "sec-fetch-site": "same-origin"}
    assert client.post("/answer", json={"source": "words"}, headers=headers).status_code == 200


def test_there_is_no_cors(client: Any) -> None:
    headers = {"origin": "http://attacker.example", "access-control-request-method": "POST"}
    answer = client.options("/answer", headers=headers)
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ("{", 400, "Expecting"),
        ("[" * 20_000, 400, ""),
        ("[]", 400, "send an object of model, source, reference, parameters"),
        ('{"source": "a", "path": "/etc/passwd"}', 400, "send an object of"),
        ('{"source": ""}', 400, "source must be a text"),
        ('{"source": 3}', 400, "source must be a text"),
        ('{"source": "a", "reference": 1}', 400, "reference must be a text"),
        ('{"source": "a", "model": 2}', 400, "there is no model 2"),
        ('{"source": "a", "model": -1}', 400, "there is no model -1"),
        ('{"source": "a", "model": true}', 400, "model must be an integer"),
        ('{"source": "a", "parameters": {"lam": "b"}}', 400, "an object of numbers"),
        ('{"source": "a", "parameters": {"lam": NaN}}', 400, "finite"),
        ('{"source": "a", "parameters": {"gamma": 0}}', 400, "gamma must be greater than 0"),
        ('{"source": "a", "parameters": {"p": 2}}', 400, "no parameter 'p'"),
        ('{"source": "\\ud800"}', 400, "not Unicode"),
        ('{"source": "' + "a" * (MAX_CHARACTERS + 1) + '"}', 413, "at most 4,000 characters"),
        (" " * (MAX_BYTES + 1), 413, "at most 65,536 bytes"),
    ],
)
def test_bad_questions_are_errors(client: Any, body: str, status: int, told: str) -> None:
    answer = client.post("/answer", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    assert told in answer.json()["error"]


def test_only_json_is_read(client: Any) -> None:
    answer = client.post("/answer", content="{}", headers={"content-type": "text/plain"})
    assert answer.status_code == 415


def test_a_long_text_is_cut_not_refused(client: Any, checkpoints: list[Checkpoint]) -> None:
    for model in (0, 1):
        text = "7 " * (MAX_CHARACTERS // 2)
        answer = client.post("/answer", json={"model": model, "source": text, "reference": text})
        assert answer.status_code == 200, answer.text
        look = answer.json()["looks"]["reading"]
        assert len(look["source"]) == len(look["target"]) <= 257


def test_one_answer_at_a_time_and_a_short_queue(live: Live, client: Any) -> None:
    running, most = [0], [0]
    gate, refused = threading.Event(), threading.Semaphore(0)
    answer = live.answer

    def slow(question: Question) -> dict[str, Any]:
        running[0] += 1
        most[0] = max(most[0], running[0])
        gate.wait(20)
        running[0] -= 1
        return answer(question)

    live.answer = slow  # type: ignore[method-assign]

    def ask(_: int) -> int:
        status = client.post("/answer", json={"source": "words"}).status_code
        if status == 429:
            refused.release()
        return int(status)

    with ThreadPoolExecutor(MAX_WAITING + 2) as pool:
        asked = pool.map(ask, range(MAX_WAITING + 2))
        for _ in range(2):  # before the queue moves, or a place in it would be free
            assert refused.acquire(timeout=15)
        gate.set()
        statuses = list(asked)
    assert sorted(statuses) == [200] * MAX_WAITING + [429] * 2
    assert most[0] == 1
    assert client.post("/answer", json={"source": "words"}).status_code == 200


def test_requests_that_never_end_block_no_others(live: Live) -> None:
    desk = Desk(live, patience=0.3)

    async def asked(*chunks: bytes, ends: bool) -> int:
        parts = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
        last = {"type": "http.request", "body": b"", "more_body": False}

        async def receive() -> dict[str, Any]:
            if parts:
                return parts.pop(0)
            if not ends:
                await asyncio.Event().wait()
            return last

        headers = [(b"content-type", b"application/json"), (b"host", b"127.0.0.1")]
        scope = {"type": "http", "method": "POST", "path": "/answer", "headers": headers}
        return (await desk.answer(Request(scope, receive))).status_code

    async def all_of_them() -> list[int]:
        hanging = [asyncio.create_task(asked(b"{", ends=False)) for _ in range(2 * MAX_WAITING)]
        await asyncio.sleep(0.05)
        question = json.dumps({"source": "a small sentence"}).encode()
        return [await asked(question, ends=True), *await asyncio.gather(*hanging)]

    assert asyncio.run(all_of_them()) == [200, *[408] * 2 * MAX_WAITING]


def test_a_request_that_ends_early_is_no_defect(live: Live) -> None:
    desk = Desk(live)

    async def gone() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "headers": headers}
    assert asyncio.run(desk.answer(Request(scope, gone))).status_code == 400


def test_connections_without_a_whole_head_are_closed(live: Live) -> None:
    pytest.importorskip("uvicorn")
    server = patient_server(application("<p>the page</p>", live), patience=0.5)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        place = listening.getsockname()
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            silent = [socket.create_connection(place, timeout=20) for _ in range(40)]
            for connection in silent:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
            for connection in silent:
                with connection:
                    connection.recv(1000)  # nothing, or 503 where they were too many
            with socket.create_connection(place, timeout=20) as asking:
                asking.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                assert asking.recv(1000).startswith(b"HTTP/1.1 200")
        finally:
            server.should_exit = True
            thread.join(20)
