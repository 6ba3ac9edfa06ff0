"""A sweep over two mappings, and a table of its runs, as users make them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from commands import cold, forked

from seq2seq.cli.compare import folders_as_key

TINY = [
    "data.corpus.train_size=200",
    "data.corpus.validation_size=8",
    "data.corpus.test_size=12",
    "data.subwords.size=400",
    "model.hidden_size=16",
    "model.embedding_size=16",
    "trainer.max_steps=3",
    "validation.every_n_steps=3",
    "validation.heat_maps=0",
    "validation.average=false",
    "trainer.accelerator=cpu",
]


@pytest.mark.e2e
@pytest.mark.slow
def test_a_sweep_is_compared(tmp_path: Path) -> None:
    # Every other run is refused before training: a mapping cannot have a negative strength.
    sweep = ["-m", "attention=softmax,sparsemax", "attention.gamma=1.0,-1.0", *TINY]
    launcher = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hydra.sweep.dir=sweep"]
    result = cold("train", *sweep, *launcher, cwd=tmp_path)
    assert result.returncode != 0, "a run failed"
    assert result.stderr.count("error: ") >= 1
    assert "gamma" in result.stderr
    for number in (0, 2):
        names = {path.name for path in (tmp_path / "sweep" / str(number)).iterdir()}
        assert {
            "config.yaml",
            "metrics.json",
            "training.json",
            "train.log",
            "hypotheses.test.txt",
            "references.test.txt",
            "attention.test.csv",
        } <= names
    timed = json.loads((tmp_path / "sweep" / "0" / "training.json").read_text())
    assert timed["updates"] == 2, "all but the first"
    assert timed["seconds_per_update"] > 0

    outputs = "output=[table.md,table.tex,table.csv]"
    result = cold("compare", "sweep", "samples=50", outputs, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    for number in (1, 3):
        assert f"left out: sweep/{number}: no config.yaml" in result.stderr
    assert "sparsemax" in result.stdout
    rows = list(csv.DictReader((tmp_path / "table.csv").open(encoding="utf-8")))
    assert [row["attention"] for row in rows] == ["softmax", "sparsemax"]
    for row, number in zip(rows, (0, 2), strict=True):
        metrics = json.loads((tmp_path / "sweep" / str(number) / "metrics.json").read_text())[
            "test"
        ]
        assert float(row["bleu"]) == metrics["bleu"]["score"]
        assert float(row["aer"]) == metrics["alignment"]["overall"]["aer"]
    assert 0 < float(rows[1]["chrf_p"]) <= 1
    assert r"\toprule" in (tmp_path / "table.tex").read_text(encoding="utf-8")
    assert "| softmax | 1 |" in (tmp_path / "table.md").read_text(encoding="utf-8")

    chosen = ["split=validation", "samples=50", "output=validation.csv"]
    result = forked("compare", "sweep", *chosen, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    rows = list(csv.DictReader((tmp_path / "validation.csv").open(encoding="utf-8")))
    assert 0 < float(rows[1]["chrf_p"]) <= 1

    result = forked("compare", cwd=tmp_path)
    assert result.returncode == 1
    assert "name run folders" in result.stderr


def test_plain_arguments_are_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lr=1,seed=2").mkdir()
    assert folders_as_key(["a", "runs/*", "by=seed", "--help"]) == [
        "runs=['a','runs/*']",
        "by=seed",
        "--help",
    ]
    assert folders_as_key(["lr=1,seed=2"]) == ["runs=['lr=1,seed=2']"]
    assert folders_as_key(["it's"]) == [r"runs=['it\'s']"]
    assert folders_as_key(["runs=a"]) == ["runs=a"]
    assert folders_as_key(["--cfg", "job"]) == ["--cfg", "job"]
    assert folders_as_key(["a", "-c", "job", "b"]) == ["runs=['a','b']", "-c", "job"]
