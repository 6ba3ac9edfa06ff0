"""``seq2seq-explore`` as users run it, on checkpoints with random weights."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir

from seq2seq.checkpoint import build, save_checkpoint
from seq2seq.cli.application import config_folder
from seq2seq.cli.explore import explore
from seq2seq.data.vocabulary_pair import VocabularyPair

CORPUS = {
    "_target_": "seq2seq.data.corpora.toy.Toy",
    "seed": 1,
    "train_size": 60,
    "validation_size": 6,
    "test_size": 6,
}


@pytest.fixture
def runs(subwords: VocabularyPair, tmp_path: Path) -> Path:
    """Write two checkpoints, ``softmax`` and ``fusedmax``, to a folder."""
    torch.manual_seed(0)
    for name in ("Softmax", "Fusedmax"):
        model: dict[str, Any] = {
            "_target_": "seq2seq.models.recurrent.Recurrent",
            "source_vocabulary_size": subwords.source.size,
            "target_vocabulary_size": subwords.target.size,
            "mapping": {"_target_": f"seq2seq.mappings.{name}"},
            "embedding_size": 8,
            "hidden_size": 8,
        }
        config = {"model": model, "data": {"corpus": CORPUS}}
        save_checkpoint(tmp_path / name.lower(), build(model), subwords, config)
    return tmp_path


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "seq2seq.cli.explore", *arguments]


def in_process(*overrides: str) -> None:
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        explore(compose("explore", list(overrides)))


def page_data(page: str) -> Any:
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    return json.loads(text)


@pytest.mark.e2e
@pytest.mark.slow
def test_it_writes_a_page_of_several_models_on_their_own_corpus(runs: Path) -> None:
    given = ("checkpoint=[softmax,fusedmax]", "sentences=4", "output=sub/a.html")
    result = subprocess.run(command(*given), cwd=runs, capture_output=True, text=True, timeout=200)
    assert result.returncode == 0, result.stderr
    assert "written: sub/a.html" in result.stdout
    data = page_data((runs / "sub" / "a.html").read_text(encoding="utf-8"))
    assert [model["mapping"] for model in data["models"]] == ["softmax", "fusedmax"]
    assert [model["folder"] for model in data["models"]] == ["softmax", "fusedmax"]
    assert len(data["examples"]) == 4
    assert all(example["gold"] for example in data["examples"])
    softmax, fusedmax = data["examples"][0]["answers"]
    assert softmax["looks"]["reading"]["zeros"] == 0 < fusedmax["looks"]["reading"]["zeros"]


def test_it_draws_figures(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(runs)
    in_process("checkpoint=fusedmax", "format=svg", "draw=[2]", "sentences=3")
    assert {path.name for path in (runs / "explore").iterdir()} == {
        "attention.2.a.writing.svg",
        "attention.2.a.reading.svg",
        *("support.svg", "runs.svg", "scores.svg"),
    }


@pytest.mark.e2e
@pytest.mark.slow
def test_it_serves_the_page_and_answers(runs: Path) -> None:
    pytest.importorskip("uvicorn")
    arguments = ("checkpoint=fusedmax", "sentences=2", "serve=true", "port=0", "search=greedy")
    server = subprocess.Popen(
        command(*arguments),
        cwd=runs,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert server.stdout is not None
        assert server.stdout.readline().startswith("written: explore.html")
        address = server.stdout.readline().split()[0]
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
        with urllib.request.urlopen(address, timeout=30) as page:
            assert page_data(page.read().decode())["live"] == {"max_characters": 4000}
        question = urllib.request.Request(
            f"{address}answer",
            json.dumps({"source": "words", "parameters": {"lam": 0.5}}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(question, timeout=60) as answer:
            assert set(json.load(answer)["looks"]) == {"writing"}
    finally:
        server.terminate()
        server.wait(30)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("format=gif",), "format=gif: choose html, pdf"),
        (("format=pdf", "serve=true"), "serve=true needs the page"),
    ],
)
def test_incompatible_settings_are_reported_at_once(arguments: tuple[str, ...], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        in_process("checkpoint=nowhere", *arguments)
