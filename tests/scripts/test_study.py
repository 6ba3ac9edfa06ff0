"""The studies have valid configurations, and their results become tables."""

from __future__ import annotations

import csv
import importlib.util
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

PLACE = Path(__file__).parents[2] / "scripts" / "study.py"
SPEC = importlib.util.spec_from_file_location("study", PLACE)
assert SPEC is not None
assert SPEC.loader is not None
study = importlib.util.module_from_spec(SPEC)
sys.modules["study"] = study  # where dataclasses look for the types of their fields
SPEC.loader.exec_module(study)


def test_the_runs_of_every_study_compose() -> None:
    runs = study.all_runs()
    assert len({run.key for run in runs}) == len(runs) == len({run.folder for run in runs})
    first_of_each = {run.study: run for run in reversed(runs)}
    with initialize_config_dir(str(study.REPOSITORY / "configs"), version_base="1.3"):
        for run in first_of_each.values():
            config = compose("train", run.command("DIR"))
            assert config.seed == 1
            assert (config.data.get("root") == "DIR") == (run.corpus is not None)


def test_every_row_is_one_of_a_run_and_has_its_command() -> None:
    runs = {run.key: run for run in study.all_runs()}
    with study.RESULTS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    for row in rows:
        run = runs[row["study"], row["attention"], row["seed"]]
        assert row["command"].endswith(" ".join(run.command("DIR")))
    keys = [(row["study"], row["attention"], row["seed"]) for row in rows]
    assert len(set(keys)) == len(keys)


def test_a_table_has_means_and_deviations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [("a", "softmax", 1, 60.0), ("a", "softmax", 2, 62.0), ("a", "fusedmax", 1, 61.5)]
    lines = ["study,attention,seed," + ",".join(study.MEASURES) + ",commit,command"]
    empty = "," * (len(study.MEASURES) - 1)
    lines += [f"{name},{attention},{seed},{bleu}{empty},," for name, attention, seed, bleu in rows]
    monkeypatch.setattr(study, "RESULTS", tmp_path / "results.csv")
    study.RESULTS.write_text("\n".join(lines) + "\n")
    assert list(study.table("a")) == [
        "| attention | seeds | bleu |",
        "|---|---|---|",
        "| softmax | 2 | 61.00 ± 1.41 |",
        "| fusedmax | 1 | 61.50 |",
    ]
    with pytest.raises(SystemExit, match="has no row of b"):
        list(study.table("b"))
