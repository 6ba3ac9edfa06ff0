"""0 is success, 1 a failure, 128 + its number a signal: wherever it comes, and in every command."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import PRELOADED, TIMEOUT, _run, forked

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(
        "forkserver" not in multiprocessing.get_all_start_methods(), reason="signals of POSIX"
    ),
]

TINY = [
    "data.corpus.train_size=300",
    "data.corpus.validation_size=12",
    "data.corpus.test_size=12",
    "data.subwords.size=500",
    "data.batch.tokens=800",
    "model.hidden_size=24",
    "model.embedding_size=24",
    "trainer.max_steps=8",
    "trainer.log_every_n_steps=1",
    "validation.every_n_steps=4",
    "validation.heat_maps=0",
    "trainer.accelerator=cpu",
]


def signaled(
    name: str, *arguments: str, cwd: Path, number: int, when: Callable[[], bool]
) -> tuple[int, str]:
    """Send a command a signal as soon as something is so; its exit code, and what it said."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    streams = [cwd / f"{name}.{stream}" for stream in ("in", "out", "err")]
    streams[0].touch()
    environment = dict(os.environ)
    process = context.Process(target=_run, args=(name, arguments, str(cwd), environment, streams))
    process.start()
    deadline = time.monotonic() + TIMEOUT
    while process.is_alive() and not when() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.is_alive(), streams[2].read_text()
    assert process.pid is not None
    os.kill(process.pid, number)
    process.join(TIMEOUT)
    assert process.exitcode is not None
    return process.exitcode, streams[2].read_text()


def logged(run: Path, text: str) -> Callable[[], bool]:
    """Whether the log of a run has a text."""
    log = run / "train.log"
    return lambda: log.exists() and text in log.read_text()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exit")
    result = forked("train", *TINY, "hydra.run.dir=run", cwd=folder)
    assert result.returncode == 0, result.stderr
    return folder / "run"


def test_a_signal_while_data_are_prepared(tmp_path: Path) -> None:
    run = tmp_path / "run"
    code, errors = signaled(
        "train",
        *TINY,
        "data.corpus.train_size=60000",
        f"hydra.run.dir={run}",
        cwd=tmp_path,
        number=signal.SIGTERM,
        when=(run / ".hydra" / "overrides.yaml").exists,
    )
    assert code == 143
    assert errors.endswith("stopped by SIGTERM\n")
    assert "Traceback" not in errors
    assert not (run / "checkpoints").exists()


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
    run = tmp_path / "run"
    code, errors = signaled(
        "train",
        *TINY,
        "data.corpus.test_size=1500",
        f"hydra.run.dir={run}",
        cwd=tmp_path,
        number=number,
        when=logged(run, moment),
    )
    assert code == 128 + number, errors
    assert "go on with: seq2seq-train resume=run" in errors
    assert "Traceback" not in errors
    assert not (run / "metrics.json").exists()
    resumed = forked("train", f"resume={run}", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert json.loads((run / "metrics.json").read_text())["test"]["loss"] > 0


def test_a_signal_ends_the_whole_sweep(tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    code, errors = signaled(
        "train",
        *("-m", *TINY, "seed=1,2", f"hydra.sweep.dir={sweep}"),
        cwd=tmp_path,
        number=signal.SIGTERM,
        when=logged(sweep / "0", "step 2/"),
    )
    assert code == 143, errors
    assert "go on with: seq2seq-train resume=sweep/0" in errors
    assert not (sweep / "1").exists()


def test_a_sweep_with_a_failed_run_makes_the_others_and_fails(tmp_path: Path) -> None:
    short = ["trainer.max_steps=2", "test.split=null", "hydra.sweep.dir=sweep"]
    result = forked("train", "-m", *TINY, *short, "optimizer.lr=no,0.01", cwd=tmp_path)
    assert result.returncode == 1
    assert "error: optimizer" in result.stderr
    assert (tmp_path / "sweep" / "1" / "checkpoints" / "best").is_dir()


def test_a_signal_to_a_command_that_reads(run: Path) -> None:
    fifo = run.parent / "lines"
    os.mkfifo(fifo)
    opened = []

    def reading() -> bool:
        try:
            opened.append(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:  # nobody reads yet
            return False
        return True

    given = ["checkpoint=run", f"input={fifo}"]
    number = signal.SIGTERM
    code, errors = signaled("translate", *given, cwd=run.parent, number=number, when=reading)
    os.close(opened[0])
    assert code == 143
    assert errors == "stopped by SIGTERM\n"


@pytest.mark.parametrize("option", ["--nonsense", "seed", "checkpoint=nowhere"])
@pytest.mark.parametrize("name", ["train", "predict"])
def test_a_mistake_is_a_failure(name: str, option: str, tmp_path: Path) -> None:
    assert forked(name, option, cwd=tmp_path).returncode == 1


def test_bad_numbers_are_a_failure_that_can_be_gone_on_from(run: Path) -> None:
    wild = ["optimizer=sgd", "optimizer.lr=1e30", "trainer.gradient_clip_val=null"]
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
