"""Two processes train, evaluate and translate like one: gloo on the CPU, the real commands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import TIMEOUT, forked
from launching import free_port, srun, together
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seq2seq.cli.launch import follow
from seq2seq.system.processes import Group
from seq2seq.training.fit import _explaining_memory

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

# An even number of batches in an epoch: two processes take turns at those that one process has.
TINY = [
    "model=transformer",
    "model.size=16",
    "model.heads=2",
    "model.feedforward_size=32",
    "model.encoder_layers=1",
    "model.decoder_layers=2",
    "model.dropout=0",
    "attention=fusedmax",
    "attention.learn=[gamma]",
    "data.corpus.train_size=300",
    "data.corpus.validation_size=13",
    "data.corpus.test_size=13",
    "data.subwords.size=500",
    "data.batch.tokens=500",
    "trainer.max_steps=20",
    "trainer.log_every_n_steps=1",
    "trainer.accelerator=cpu",
    "validation.every_n_steps=10",
    "validation.heat_maps=1",
]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Train a run of one process that accumulates two batches per update."""
    folder = tmp_path_factory.mktemp("work")
    before = os.environ.get("SEQ2SEQ_CACHE")
    os.environ["SEQ2SEQ_CACHE"] = str(folder / "cache")
    accumulating = ["trainer.accumulate_grad_batches=2", "hydra.run.dir=one"]
    result = forked("train", *TINY, *accumulating, cwd=folder)
    assert result.returncode == 0, result.stderr
    yield folder
    if before is None:
        os.environ.pop("SEQ2SEQ_CACHE")
    else:
        os.environ["SEQ2SEQ_CACHE"] = before


def scalars(run: Path, name: str) -> torch.Tensor:
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    return torch.tensor([event.value for event in events.Scalars(name)])


def weights(run: Path) -> dict[str, torch.Tensor]:
    """Without the bias of keys: it adds the same to all scores of a query, which changes nothing.

    Its gradient is rounding, of which Adam makes steps as large as any.
    """
    found = load_file(str(run / "checkpoints" / "last" / "model.safetensors"))
    for name, weight in found.items():
        if name.endswith("attention.inputs.bias"):
            weight.chunk(3)[1].zero_()
    return found


def numbers(node: Any) -> list[float]:
    if isinstance(node, dict | list):
        parts = node.values() if isinstance(node, dict) else node
        return [number for part in parts for number in numbers(part)]
    return [float(node)] if isinstance(node, int | float) else []


def assert_same_metrics(one: Path, other: Path, tolerance: float = 1e-12) -> None:
    found = [json.loads((run / "metrics.json").read_text())["test"] for run in (one, other)]
    expected, actual = (torch.tensor(numbers(metrics), dtype=torch.float64) for metrics in found)
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


def assert_same_run(one: Path, other: Path) -> None:
    for name in ("train/loss", "train/gradient_norm", "validation/loss"):
        expected = scalars(one, name)
        assert len(expected) == (2 if name.startswith("validation") else 20)
        torch.testing.assert_close(scalars(other, name), expected, rtol=1e-5, atol=1e-5)
    expected = weights(one)
    assert expected.keys() == weights(other).keys()
    for name, weight in weights(other).items():
        torch.testing.assert_close(weight, expected[name], rtol=1e-5, atol=1e-5)


def files(run: Path) -> set[str]:
    return {
        str(path.relative_to(run)) for path in run.rglob("*") if "tfevents" not in path.name
    } | {f"{len([*run.rglob('*tfevents*')])} event files"}


def test_two_processes_under_torchrun_train_as_one_does(work: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    before = {path.name for path in work.iterdir()}
    result = subprocess.run(
        [
            *(*command, "-m", "seq2seq.cli.train", *TINY),
            *("hydra.run.dir=two", "trainer=ddp", "trainer.devices=2"),
        ],
        cwd=work,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert result.returncode == 0, result.stderr
    assert_same_run(work / "one", work / "two")
    assert_same_metrics(work / "one", work / "two")
    assert files(work / "two") == files(work / "one"), "one process writes"
    assert {path.name for path in work.iterdir()} == {*before, "two"}
    assert result.stdout.count("Use it:") == 1, "one process talks"
    lines = (work / "two" / "train.log").read_text().splitlines()
    assert len([line for line in lines if "step 7/20" in line]) == 1
    assert json.loads((work / "two" / "training.json").read_text())["devices"] == 2


@pytest.mark.thorough
@pytest.mark.parametrize("trainer", ["ddp", "fsdp"])
def test_a_run_of_two_processes_resumes_to_what_one_would_have_done(
    work: Path, trainer: str
) -> None:
    half = ["trainer.max_steps=10", "schedule.total_steps=20", f"hydra.run.dir={trainer}"]
    rest = [f"resume={trainer}", "trainer.max_steps=20"]
    for arguments in ([*TINY, *half, f"trainer={trainer}"], rest):
        first, second = together("train", *arguments, cwd=work)
        assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
        assert not second.stdout
    assert_same_run(work / "one", work / trainer)
    assert_same_metrics(work / "one", work / trainer, 1e-3)


@pytest.mark.parametrize("trainer", ["ddp", pytest.param("fsdp", marks=pytest.mark.thorough)])
def test_two_processes_begin_from_another_run_and_resume_as_one_does(
    work: Path, trainer: str
) -> None:
    begun = [
        *(text for text in TINY if not text.startswith(("model", "attention", "data.subwords"))),
        *("init=one", "attention=sparsemax", "attention.learn=[gamma]", "seed=2"),
        *("init.freeze=[encoder,embeddings]", "model.tie_embeddings=none"),
    ]
    if not (work / "begun").exists():
        accumulating = ["trainer.accumulate_grad_batches=2", "hydra.run.dir=begun"]
        result = forked("train", *begun, *accumulating, cwd=work)
        assert result.returncode == 0, result.stderr
    half = ["trainer.max_steps=10", "schedule.total_steps=20", f"hydra.run.dir=begun_{trainer}"]
    rest = [f"resume=begun_{trainer}", "trainer.max_steps=20"]
    for arguments in ([*begun, *half, f"trainer={trainer}"], rest):
        first, second = together("train", *arguments, cwd=work)
        assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert_same_run(work / "begun", work / f"begun_{trainer}")
    base = load_file(str(work / "one" / "checkpoints" / "best" / "model.safetensors"))
    for name, tensor in weights(work / f"begun_{trainer}").items():
        if name.startswith(("encoder.", "source_embedding.")) and "inputs.bias" not in name:
            assert torch.equal(tensor, base[name]), f"{name} is frozen"


@pytest.mark.thorough
def test_a_signal_to_one_process_stops_all_after_the_same_update(work: Path) -> None:
    """As Slurm's srun starts them; the second is asked to stop."""
    endless = ["trainer.max_steps=1000000", "schedule=constant", "hydra.run.dir=stopped"]
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "seq2seq.cli.train", *TINY, *endless, "trainer=ddp"],
            cwd=work,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **place, **srun(rank, 2)},
        )
        for rank in range(2)
    ]
    stderr = processes[0].stderr
    assert stderr is not None
    told = []
    for line in stderr:
        told.append(line)
        if "step 3/" in line:
            processes[1].send_signal(signal.SIGTERM)
    assert [process.wait(TIMEOUT) for process in processes] == [128 + signal.SIGTERM] * 2, told
    assert "continue with: srun … python -m seq2seq.cli.train resume=stopped" in told[-1]
    state = torch.load(work / "stopped" / "resume.ckpt", weights_only=True)
    assert state["global_step"] >= 3
    assert len(state["callbacks"]["Survival"]["random_states"]) == 2, "each has its own"
    first, second = (s["torch"] for s in state["callbacks"]["Survival"]["random_states"])
    assert not torch.equal(first, second)


def test_evaluation_is_shared_and_the_same(work: Path) -> None:
    few = ["checkpoint=one", "batch_tokens=60", "device=cpu", "alignments=true"]
    alone = forked("evaluate", *few, "output=alone", cwd=work)
    assert alone.returncode == 0, alone.stderr
    first, *others = together("evaluate", *few, "output=shared", cwd=work, size=3)
    assert first.returncode == 0, first.stderr
    assert [(other.returncode, other.stdout) for other in others] == [(0, "")] * 2
    assert files(work / "shared") == files(work / "alone")
    assert_same_metrics(work / "alone", work / "shared")
    for name in ("hypotheses.test.txt", "alignments.test.txt"):
        assert (work / "alone" / name).read_text() == (work / "shared" / name).read_text()


@pytest.mark.thorough
def test_classes_of_pairs_are_evaluated_together_too(work: Path) -> None:
    small = [
        *(
            "task=entailment",
            "hydra.run.dir=pairs",
            "trainer.max_steps=2",
            "trainer.accelerator=cpu",
        ),
        *("data.corpus.train_size=200", "data.corpus.validation_size=20"),
        *("data.corpus.test_size=31", "model.hidden_size=8", "model.embedding_size=8"),
    ]
    runs = together("train", *small, "trainer=ddp", cwd=work)
    assert [run.returncode for run in runs] == [0, 0], runs[0].stderr
    alone = forked("evaluate", "checkpoint=pairs", "output=pairs_alone", "device=cpu", cwd=work)
    assert alone.returncode == 0, alone.stderr
    assert_same_metrics(work / "pairs_alone", work / "pairs")
    names = ("predictions.test.tsv", "example_scores.test.jsonl")
    for one, other in ((work / "pairs" / n, work / "pairs_alone" / n) for n in names):
        assert one.read_text() == other.read_text()


@pytest.mark.thorough
def test_translations_come_in_the_order_of_the_lines(work: Path) -> None:
    words = ["the", "small", "dog", "sees", "cat"]
    lines = [" ".join(words[n % 3 :] * (n % 4)) for n in range(23)]  # some are empty
    options = ["checkpoint=one", "buffer=10", "batch_tokens=40", "device=cpu"]
    stdin = "".join(f"{line}\n" for line in lines)
    alone = forked("translate", *options, cwd=work, stdin=stdin)
    first, second = together("translate", *options, cwd=work, stdin=stdin)
    assert first.returncode == 0, first.stderr
    assert first.stdout == alone.stdout
    assert len(first.stdout.splitlines()) == len(lines)
    assert not second.stdout


@pytest.mark.parametrize(
    ("arguments", "size", "message"),
    [
        (["trainer.devices=2"], 1, "torchrun --nproc-per-node=2 -m seq2seq.cli.train trainer=ddp"),
        (["trainer=ddp", "trainer.devices=4"], 2, "started as 2 processes on this machine"),
        (["trainer=ddp", "trainer.num_nodes=2"], 2, "trainer.num_nodes=2, but"),
        ([], 2, "choose trainer=ddp or trainer=fsdp"),
    ],
)
def test_devices_without_processes_are_refused(
    work: Path, arguments: list[str], size: int, message: str
) -> None:
    first, *others = together(
        "train", *TINY, *arguments, "hydra.run.dir=refused", cwd=work, size=size
    )
    assert first.returncode == 1
    assert message in first.stderr
    assert all(other.returncode == 1 for other in others)


@pytest.mark.parametrize("option", ["--help", "--cfg=job", "--info"])
def test_commands_that_only_print_do_not_wait_for_others(
    option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["seq2seq-train", option])
    follow(lambda *_: pytest.fail("there is nothing to do"))


def test_memory_that_runs_out_among_several_is_explained() -> None:
    config = {"data": {"batch": {"tokens": 4096}}}
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    several = Group(rank=1, size=2)
    message = r"Set data\.batch\.tokens=2048"
    with pytest.raises(ValueError, match=message), _explaining_memory(several, config):
        raise error
    with pytest.raises(torch.OutOfMemoryError), _explaining_memory(Group(), config):
        raise error
