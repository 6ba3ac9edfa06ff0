"""Loggers get what TensorBoard gets; a resumed run goes on in its runs at W&B and MLflow."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest
from commands import SMALL, cold, forked

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

TRAIN = (
    *SMALL,
    "validation.every_n_steps=3",
    "validation.average=false",
    "trainer.accelerator=cpu",
)


def test_csv_has_the_losses_and_scores(tmp_path: Path) -> None:
    options = ["trainer.max_steps=6", "trainer.log_every_n_steps=2", "test.search.beam_size=1"]
    result = forked("train", *TRAIN, *options, "logger=csv", "hydra.run.dir=run", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert not (tmp_path / "run" / "tensorboard").exists()
    with (tmp_path / "run" / "csv" / "version_0" / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(row["train/loss"] != "" for row in rows) == 3
    scored = [row for row in rows if row["validation/bleu"]]
    assert [row["step"] for row in scored] == ["3", "6"]
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())["test"]
    assert float(rows[-1]["test/bleu"]) == pytest.approx(metrics["bleu"]["score"])
    support = metrics["attention"]["overall"]["support_size"]
    assert float(rows[-1]["test attention/support_size"]) == pytest.approx(support)


def test_mlflow_has_settings_scores_and_heat_maps_and_goes_on_after_a_resume(
    tmp_path: Path,
) -> None:
    mlflow = pytest.importorskip("mlflow", reason="pip install mlflow")
    place = f"sqlite:///{tmp_path}/mlflow.db"
    options = ["logger=mlflow", f"logger.mlflow.tracking_uri={place}", "hydra.run.dir=run"]
    result = cold("train", *TRAIN, *options, "trainer.max_steps=3", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    result = cold("train", "resume=run", "trainer.max_steps=6", cwd=tmp_path)
    assert result.returncode == 0, result.stderr

    client = mlflow.MlflowClient(place)
    experiment = client.get_experiment_by_name("seq2seq")
    [found] = client.search_runs([experiment.experiment_id])
    assert found.info.status == "FINISHED"
    assert found.data.params["model/hidden_size"] == "24"
    history = client.get_metric_history(found.info.run_id, "validation/bleu")
    assert [entry.step for entry in history] == [3, 6]
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())["test"]
    assert found.data.metrics["test/bleu"] == pytest.approx(metrics["bleu"]["score"])
    images = client.list_artifacts(found.info.run_id, "attention/example_1")
    assert [Path(image.path).name for image in images] == ["step-000003.png", "step-000006.png"]


def test_wandb_offline_has_a_run_for_each_of_a_sweep_and_goes_on_after_a_resume(
    tmp_path: Path,
) -> None:
    pytest.importorskip("wandb", reason="pip install wandb")
    sweep = ["seed=1,2", "logger=[tensorboard,wandb]", "logger.wandb.offline=true"]
    options = ["trainer.max_steps=3", "hydra.sweep.dir=sweep"]
    result = cold("train", "-m", *TRAIN, *sweep, *options, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    result = cold("train", "resume=sweep/0", "trainer.max_steps=6", cwd=tmp_path)
    assert result.returncode == 0, result.stderr

    names = {}
    for run in ("0", "1"):
        folder = tmp_path / "sweep" / run
        assert list((folder / "tensorboard").iterdir())
        names[run] = json.loads((folder / "loggers.json").read_text())["wandb"]
        runs = sorted((folder / "wandb").glob("offline-run-*"))
        assert len(runs) == (2 if run == "0" else 1), "a resume writes a folder of its own"
        for one in runs:
            content = (one / f"run-{names[run]}.wandb").read_bytes()
            assert b"validation/bleu" in content
            assert b"test/bleu" in content
            assert list((one / "files" / "media" / "images" / "attention").glob("*.png"))
    assert names["0"] != names["1"]


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_missing_package_is_named_before_training(tmp_path: Path, name: str) -> None:
    # Python runs this file when it starts; None hides an installed package from `find_spec`.
    (tmp_path / "sitecustomize.py").write_text(f"import sys; sys.modules[{name!r}] = None\n")
    folders = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    result = cold(
        "train",
        *(*TRAIN, f"logger={name}", "hydra.run.dir=run"),
        cwd=tmp_path,
        environment={"PYTHONPATH": os.pathsep.join(folders)},
    )
    assert result.returncode == 1
    assert f"logger={name} needs {name}, which is missing: pip install {name}" in result.stderr
    assert not (tmp_path / "run" / "checkpoints").exists()
