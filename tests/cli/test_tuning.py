"""A search for good settings by Optuna: it searches, continues, and its runs can be compared."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
import yaml
from commands import cold, forked

pytest.importorskip("optuna", reason='pip install hydra-optuna-sweeper "sqlalchemy<2"')
pytestmark = [pytest.mark.e2e, pytest.mark.slow]

TINY = [
    "data.corpus.train_size=200",
    "data.corpus.validation_size=8",
    "data.corpus.test_size=8",
    "data.subwords.size=400",
    "model.hidden_size=16",
    "model.embedding_size=16",
    "trainer.max_steps=3",
    "validation.every_n_steps=3",
    "validation.heat_maps=0",
    "validation.average=false",
    "trainer.accelerator=cpu",
]


def test_a_search_continues_and_its_runs_are_compared(tmp_path: Path) -> None:
    search = ["-m", "tuning=strength_and_fusion", "attention=fusedmax", *TINY]
    search += ["hydra.sweep.dir=found", "hydra.sweeper.n_trials=2"]
    for count in (2, 4):
        result = cold("train", *search, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        runs = sorted(path.parent for path in (tmp_path / "found").glob("*/config.yaml"))
        assert len(runs) == count
    strengths = set()
    for run in runs:
        attention = yaml.safe_load((run / "config.yaml").read_text())["attention"]
        assert 0.25 <= attention["gamma"] <= 4
        assert 0 <= attention["lam"] <= 0.2
        strengths.add(attention["gamma"])
        assert not (run / "metrics.json").exists(), "the test split is not for choosing"
    assert len(strengths) == 4, "a continued search tries other values"

    def score(run: Path) -> float:
        metrics = json.loads((run / "checkpoints" / "best" / "metrics.json").read_text())
        return float(metrics["validation"]["bleu"]["score"])

    with sqlite3.connect(tmp_path / "tuning.db") as database:
        values = [value for (value,) in database.execute("SELECT value FROM trial_values")]
    assert sorted(values) == pytest.approx(sorted(map(score, runs)))

    table = ["split=validation", "by=attention.gamma", "output=[table.csv,plot.svg]", "test=null"]
    result = forked("compare", "found", *table, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert len((tmp_path / "table.csv").read_text().splitlines()) == 1 + 4
    assert (tmp_path / "plot.svg").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tuning=strength"], "trains many models: seq2seq-train -m tuning=strength"),
        (
            ["-m", "tuning=strength", "validation.monitor=loss"],
            "searches for the worst loss; set hydra.sweeper.direction=minimize",
        ),
    ],
)
def test_a_search_that_would_find_nothing_is_refused(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    result = forked("train", *arguments, *TINY, cwd=tmp_path)
    assert result.returncode == 1
    assert message in result.stderr
    assert not list(tmp_path.glob("**/checkpoints"))
