"""Exit codes of all commands: 0 for success, 1 for failure, 128 + number for a signal."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
from pathlib import Path

import pytest
from accidents import Signal
from commands import SMALL, forked

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(
        "forkserver" not in multiprocessing.get_all_start_methods(), reason="signals of POSIX"
    ),
]

TINY = [
    *SMALL,
    "trainer.max_steps=8",
    "trainer.log_every_n_steps=1",
    "validation.every_n_steps=4",
    "validation.heat_maps=0",
    "trainer.accelerator=cpu",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exit")
    result = forked("train", *TINY, "hydra.run.dir=run", cwd=folder)
    assert result.returncode == 0, result.stderr
    return folder / "run"


def test_a_signal_while_data_are_prepared(tmp_path: Path) -> None:
    sizes = [*TINY, "data.corpus.train_size=60000", "hydra.run.dir=run"]
    begun = Signal(signal.SIGTERM, tmp_path / "run" / ".hydra" / "overrides.yaml")
    result = forked("train", *sizes, cwd=tmp_path, before=begun)
    assert result.returncode == 143
    assert result.stderr.endswith("stopped by SIGTERM\n")
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        pytest.param(
            signal.SIGHUP,
            "step 2/",
            marks=pytest.mark.skipif(
                signal.getsignal(signal.SIGHUP) == signal.SIG_IGN, reason="these tests run in nohup"
            ),
        ),
        (signal.SIGINT, "average of the kept checkpoints"),
    ],
)
def test_a_signal_in_training_and_in_the_final_test(
    tmp_path: Path, number: int, moment: str
) -> None:
    sizes = [*TINY, "data.corpus.test_size=300", "hydra.run.dir=run"]
    run = tmp_path / "run"
    result = forked("train", *sizes, cwd=tmp_path, before=Signal(number, run / "train.log", moment))
    assert result.returncode == 128 + number, result.stderr
    assert "continue with: seq2seq-train resume=run" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (run / "metrics.json").exists()
    resumed = forked("train", "resume=run", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert json.loads((run / "metrics.json").read_text())["test"]["loss"] > 0


def test_a_signal_ends_the_whole_sweep(tmp_path: Path) -> None:
    sweep = ["-m", *TINY, "seed=1,2", "hydra.sweep.dir=sweep"]
    begun = Signal(signal.SIGTERM, tmp_path / "sweep" / "0" / "train.log", "step 2/")
    result = forked("train", *sweep, cwd=tmp_path, before=begun)
    assert result.returncode == 143, result.stderr
    assert "continue with: seq2seq-train resume=sweep/0" in result.stderr
    assert not (tmp_path / "sweep" / "1").exists()


def test_a_sweep_with_a_failed_run_does_the_others_and_fails(tmp_path: Path) -> None:
    short = ["trainer.max_steps=2", "test.split=null", "hydra.sweep.dir=sweep"]
    result = forked("train", "-m", *TINY, *short, "optimizer.lr=no,0.01", cwd=tmp_path)
    assert result.returncode == 1
    assert "error: optimizer" in result.stderr
    assert (tmp_path / "sweep" / "1" / "checkpoints" / "best").is_dir()


def test_a_signal_to_a_command_that_reads(run: Path) -> None:
    pipe = run.parent / "lines"
    os.mkfifo(pipe)
    reading = Signal(signal.SIGTERM, pipe)
    given = ["checkpoint=run", "input=lines"]
    result = forked("translate", *given, cwd=run.parent, before=reading)
    assert result.returncode == 143
    assert result.stderr == "stopped by SIGTERM\n"


@pytest.mark.parametrize("option", ["--nonsense", "seed", "checkpoint=nowhere"])
@pytest.mark.parametrize("name", ["train", "predict"])
def test_a_mistake_is_a_failure(name: str, option: str, tmp_path: Path) -> None:
    assert forked(name, option, cwd=tmp_path).returncode == 1


def test_bad_numbers_are_a_failure_that_can_be_gone_on_from(run: Path) -> None:
    wild = ["optimizer=sgd", "optimizer.lr=1e38", "trainer.gradient_clip_val=null"]
    limits = ["trainer.max_steps=30", "survival.max_bad_updates=4", "hydra.run.dir=wild"]
    result = forked("train", *TINY, *wild, *limits, cwd=run.parent)
    assert result.returncode == 1
    assert re.search(
        r"error: 4 updates in a row .* up to step \d+: training stopped", result.stderr
    )
    assert "Traceback" not in result.stderr
    files = sorted((run.parent / "wild" / "bad_batches").iterdir())
    assert len(files) == 4
    sentence = json.loads(files[0].read_text())["batches"][0]["sentences"][0]
    assert " " in sentence["source"]
    result = forked(
        "train",
        "resume=wild",
        "survival.max_bad_updates=null",
        "trainer.max_steps=5",
        cwd=run.parent,
    )
    assert "error: 4 updates" not in result.stderr


def test_a_run_that_diverged_ends_with_an_error_and_is_not_recommended(tmp_path: Path) -> None:
    brief = ["trainer.max_steps=8", "validation.every_n_steps=4", "validation.heat_maps=0"]
    given = [*SMALL, *brief, "optimizer.lr=100", "schedule=constant", "hydra.run.dir=run"]
    result = forked("train", *given, cwd=tmp_path)
    assert result.returncode == 1
    assert "error: training has diverged: the best checkpoint has a loss of" in result.stderr
    assert "lower optimizer.lr" in result.stderr
    assert "Use it" not in result.stdout
