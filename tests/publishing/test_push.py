"""Push a checkpoint and its card to a folder or a hub, and load it from there."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from hub_server import serving
from huggingface_hub import constants

from seq2seq.checkpoint import CheckpointError, load_checkpoint
from seq2seq.publishing.errors import PublishingError
from seq2seq.publishing.push import push

FILES = ["README.md", "config.yaml", "metrics.json", "model.safetensors", "subwords.model"]


def published(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".sha256")


def test_a_pushed_folder_is_the_checkpoint_and_its_card(run_folder: Path, tmp_path: Path) -> None:
    (run_folder / "checkpoints" / "best" / "hypotheses.test.txt").write_text("not to be pushed")
    own = load_checkpoint(run_folder)
    folder = tmp_path / "published"
    for _ in range(2):  # the second replaces the first
        push(own, str(folder), license="mit")
        assert published(folder) == FILES
    assert "license: mit" in (folder / "README.md").read_text()
    found = load_checkpoint(folder)
    for name, value in own.model.state_dict().items():
        assert torch.equal(found.model.state_dict()[name], value)


def test_other_files_are_not_replaced(run_folder: Path, tmp_path: Path) -> None:
    own = load_checkpoint(run_folder)
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    with pytest.raises(PublishingError, match="has other files"):
        push(own, str(folder))
    with pytest.raises(PublishingError, match="is a file"):
        push(own, str(folder / "thesis.tex"))
    assert (folder / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize("place", ["hub:model", "hub:me/..", "hub:a/b/c", "hub:me/model@"])
def test_a_bad_place_on_the_hub_is_named(run_folder: Path, place: str) -> None:
    with pytest.raises(CheckpointError, match="write hub:OWNER/NAME"):
        load_checkpoint(place)
    with pytest.raises(CheckpointError, match="to=hub:"):
        push(load_checkpoint(run_folder), place)


CLIENT = """
import sys
from seq2seq.checkpoint import load_checkpoint
from seq2seq.publishing.push import push

def told(function, *arguments, **options):
    try:
        print(function(*arguments, **options) and "done")
    except ValueError as error:
        print(error)

run = sys.argv[1]
if run:
    told(push, load_checkpoint(run), "hub:me/model")
    told(push, load_checkpoint(run), "hub:me/open", private=False)
    told(load_checkpoint, "hub:me/nothing")
    told(load_checkpoint, "hub:me/model@v9")
else:
    told(push, load_checkpoint("hub:me/model"), "hub:me/model")
    told(load_checkpoint, "hub:me/other")
told(load_checkpoint, "hub:me/model@main")
"""


def client(environment: dict[str, str], run: Path | None = None) -> list[str]:
    result = subprocess.run(
        [sys.executable, "-c", CLIENT, str(run or "")],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


@pytest.mark.e2e
@pytest.mark.slow
def test_a_checkpoint_is_pushed_to_a_hub_and_fetched_from_it(
    run_folder: Path, tmp_path: Path
) -> None:
    best = run_folder / "checkpoints" / "best"
    (best / "secret.txt").write_text("not to be pushed")
    home = {"HF_HOME": str(tmp_path / "home"), "HF_TOKEN": "hf_test", "no_proxy": "127.0.0.1"}
    with serving() as server:
        server.repositories["me/model"] = {"pytorch_model.bin": b"a pickle, not to be fetched"}
        online = {**home, "HF_ENDPOINT": server.url, "HF_HUB_OFFLINE": "0"}
        lines = client(online, run_folder)
    assert lines[:2] == ["done", "done"]
    assert "no such repository" in lines[2]
    assert "no revision v9" in lines[3]
    assert lines[4] == "done"
    assert server.private == {"me/model": True, "me/open": False}
    ours = server.repositories["me/open"]
    assert [name for name in sorted(ours) if not name.endswith(".sha256")] == FILES
    assert ours["model.safetensors"] == (best / "model.safetensors").read_bytes()
    assert set(server.fetched) <= {*FILES, "model.safetensors.sha256"}

    lines = client({**home, "HF_ENDPOINT": server.url, "HF_HUB_OFFLINE": "1"})
    assert "HF_HUB_OFFLINE is set" in lines[0]
    assert "cannot be reached" in lines[1]
    assert lines[2] == "done", "what was fetched before is found without a network"


ANSWERS = ["", "[]", "null", "7", '"text"', '{"siblings": 1}', "<html>a proxy</html>", "[[1]]"]


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_that_is_no_hubs_is_told(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = answer.encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with pytest.raises(CheckpointError, match="does not answer as a hub does"):
            load_checkpoint("hub:me/model")
        with pytest.raises(PublishingError, match=r"does not answer as a hub|cannot be reached"):
            push(load_checkpoint(run_folder), "hub:me/model")
        server.shutdown()
