"""Runs after accidents: they continue with equal results, or say why they cannot."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import torch
import yaml
from accidents import At, fill_the_disk
from commands import forked
from filelock import FileLock
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seq2seq.checkpoint import load_checkpoint

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

#: Everything that has a state: accumulated gradients, drawn subwords, dropout, a plateau schedule
#: in its warm-up and after, annealing, patience, kept checkpoints. Some updates are an epoch.
RUN = [
    *("data.corpus.train_size=60", "data.corpus.validation_size=4", "data.corpus.test_size=4"),
    *("data.subwords.size=500", "data.subwords.sampling.alpha=0.3", "data.batch.tokens=400"),
    *("model.hidden_size=8", "model.embedding_size=8", "attention=sparsemax", "annealing=linear"),
    *("schedule=plateau", "schedule.warmup_steps=3", "schedule.patience=0", "optimizer.lr=0.02"),
    *("trainer.accumulate_grad_batches=2", "trainer.max_steps=12", "trainer.log_every_n_steps=1"),
    *("validation.every_n_steps=4", "validation.patience=3", "validation.keep_best=2"),
    *("validation.heat_maps=0", "validation.search.max_length=5", "validation.monitor=loss"),
    *("test.search.max_length=5", "test.search.beam_size=1", "trainer.accelerator=cpu"),
]
STEP = "seq2seq.training.module:Seq2SeqModule.training_step"
OFFER = "seq2seq.training.kept_checkpoints:CheckpointKeeper.offer"
AVERAGE = "seq2seq.training.kept_checkpoints:CheckpointKeeper.average"
TEST = "seq2seq.training.fit:_test"
SAVE = "seq2seq.training.state_saving:StateSaver.save"
WRITE = "seq2seq.training.state_file:_write"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQ2SEQ_CACHE", str(folder / "cache"))
        succeeded(forked("train", *RUN, "hydra.run.dir=straight", cwd=folder))
        yield folder


def succeeded(result: CompletedProcess[str]) -> CompletedProcess[str]:
    assert result.returncode == 0, result.stdout + result.stderr
    return result


def started(work: Path, name: str, accident: At, *arguments: str) -> CompletedProcess[str]:
    return forked("train", *RUN, f"hydra.run.dir={name}", *arguments, cwd=work, before=accident)


def resumed(work: Path, name: str, accident: At | None = None) -> CompletedProcess[str]:
    return forked("train", f"resume={name}", cwd=work, before=accident)


def killed(result: CompletedProcess[str]) -> None:
    assert result.returncode == -signal.SIGKILL, result.stdout + result.stderr


def scalars(run: Path) -> dict[str, list[tuple[int, float]]]:
    """All that TensorBoard shows, but for the speed."""
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
        if tag != "train/tokens_per_second"
    }


def state(run: Path) -> dict[str, Any]:
    """Return the training state without times."""
    found = torch.load(run / "resume.ckpt", weights_only=True)
    for name in [name for name in found["callbacks"] if "Stopwatch" in name]:
        del found["callbacks"][name]
    return found


def differences(a: Any, b: Any, place: str = "") -> list[str]:
    """Where two nested structures differ by a bit."""
    if isinstance(a, dict) and isinstance(b, dict):
        return [d for k in {**a, **b} for d in differences(a.get(k), b.get(k), f"{place}/{k}")]
    if isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) == len(b):
        pairs = enumerate(zip(a, b, strict=True))
        return [d for n, (x, y) in pairs for d in differences(x, y, f"{place}/{n}")]
    same = (
        torch.equal(a, b) if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) else a == b
    )
    return [] if same else [f"{place}: {a} {b}"]


def results(run: Path) -> dict[str, Any]:
    """Everything that a run leaves, to the bit."""
    checkpoints = {path.name: path for path in (run / "checkpoints").iterdir()}
    return {
        "scalars": scalars(run),
        "state": state(run),
        "weights": {n: load_file(path / "model.safetensors") for n, path in checkpoints.items()},
        "metrics": {
            name: json.loads((path / "metrics.json").read_text())
            for name, path in {**checkpoints, "": run}.items()
        },
        "hypotheses": (run / "hypotheses.test.txt").read_text(),
        "hidden": sorted(str(path.relative_to(run)) for path in run.rglob(".*")),
        "files": sorted(path.name for path in run.iterdir()),
    }


def test_however_often_a_run_is_killed_it_ends_as_if_it_had_not_been(work: Path) -> None:
    run = work / "killed"
    state_file = run / "resume.ckpt"

    # In the middle of an accumulation, before anything but the beginning was saved.
    killed(started(work, "killed", At(STEP, call=6)))
    # Inside the first validation.
    killed(resumed(work, "killed", At(OFFER)))
    # With half of a checkpoint written.
    killed(resumed(work, "killed", At("seq2seq.checkpoint.directory:save_file", late=True)))
    # The first validation is over, the state it belongs to is not written.
    killed(resumed(work, "killed", At(SAVE)))
    assert (run / "checkpoints" / "step-000004").exists()
    # With the new state written, but not yet in its place.
    before = state_file.read_bytes()
    killed(resumed(work, "killed", At(WRITE, late=True)))
    assert state_file.read_bytes() == before
    # In the second epoch, in the middle of an accumulation; and then the cache is deleted.
    killed(resumed(work, "killed", At(STEP, call=12)))
    assert torch.load(state_file, weights_only=True)["global_step"] == 4
    shutil.rmtree(work / "cache")
    # Between the two renames that put a checkpoint into its place: the old one can still be used.
    best = run / "checkpoints" / "best"
    killed(resumed(work, "killed", At("pathlib:Path.rename", call=1, about=".best.", late=True)))
    assert not best.exists()
    assert load_checkpoint(run).model is not None
    # Between the two generations of the state.
    killed(resumed(work, "killed", At("os:replace", about="/resume.ckpt", call=1)))
    # Inside a validation, with the state of the one before torn.
    killed(resumed(work, "killed", At(OFFER, call=2)))
    whole = state_file.read_bytes()
    state_file.write_bytes(whole[: len(whole) // 2])
    # At the end of training.
    torn = resumed(work, "killed", At(SAVE, call=2))
    killed(torn)
    assert "resume.ckpt is damaged" in torn.stderr
    assert "training continues from the state before it, step 4" in torn.stderr
    # In what comes after training.
    killed(resumed(work, "killed", At(AVERAGE, late=True)))
    killed(resumed(work, "killed", At(TEST, late=True)))
    succeeded(resumed(work, "killed"))

    assert not differences(results(work / "straight"), results(run))
    assert [step for step, _ in scalars(run)["train/loss"]] == list(range(1, 13))
    assert len({loss for _, loss in scalars(run)["train/loss"]}) == 12


def test_a_run_that_patience_ended_is_not_trained_on(work: Path) -> None:
    arguments = ["validation.patience=1", "optimizer.lr=0.0", "validation.every_n_steps=2"]
    killed(started(work, "patient", At(TEST), *arguments))
    result = succeeded(resumed(work, "patient"))
    assert "no better loss in 1 validations" in result.stderr
    assert state(work / "patient")["global_step"] == 4
    assert scalars(work / "patient")["train/loss"][-1][0] == 4


@pytest.mark.parametrize("when", [SAVE, OFFER])
def test_a_full_disk_ends_training_and_loses_nothing(work: Path, when: str) -> None:
    name = "full-" + when.rpartition(".")[2]
    call = 2 if when == SAVE else 1
    result = started(work, name, At(when, fill_the_disk, call))
    assert result.returncode == 1, result.stdout + result.stderr
    assert "could not be written: File too large. Training stopped" in result.stderr
    assert f"resume with: seq2seq-train resume={name}" in result.stderr
    written = [p.name for p in (work / name).rglob(".*") if p.name != ".hydra"]
    assert not written, "what was half written is gone, and its place on the disk is free"
    succeeded(resumed(work, name))
    assert not differences(results(work / "straight"), results(work / name))


def test_a_second_run_does_not_enter_the_folder_of_the_first(work: Path) -> None:
    configuration = (work / "straight" / ".hydra" / "config.yaml").read_bytes()
    with FileLock(work / "straight" / "run.lock"):
        for result in (
            forked("train", *RUN, "hydra.run.dir=straight", cwd=work),
            resumed(work, "straight"),
        ):
            assert result.returncode == 1
            assert "another run is training in" in result.stderr
    result = forked("train", *RUN, "seed=2", "hydra.run.dir=straight", cwd=work)
    assert result.returncode == 1
    assert "straight has a run already" in result.stderr
    assert "Traceback" not in result.stderr
    assert (work / "straight" / ".hydra" / "config.yaml").read_bytes() == configuration


def test_a_read_only_folder_is_reported_at_once(work: Path) -> None:
    shutil.copytree(work / "straight", work / "readonly")
    for path in (work / "readonly", *(work / "readonly").rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    if os.access(work / "readonly", os.W_OK):
        pytest.skip("this user may write everywhere")
    result = resumed(work, "readonly")
    assert result.returncode == 1
    assert "cannot be written: Permission denied" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_changed_corpus_restarts_the_epoch_with_the_vocabulary_of_the_run(
    work: Path,
) -> None:
    lines = [
        f"the {a} sees {n} {b}s" for n in range(4) for a in ("dog", "cat") for b in ("ox", "ant")
    ]
    for name in ("train", "validation", "test"):
        (work / f"{name}.txt").write_text("\n".join(lines) + "\n")
    corpus = [
        f"data.{n}={{source:{n}.txt,target:{n}.txt}}" for n in ("train", "validation", "test")
    ]
    chosen = [a for a in RUN if not a.startswith(("data.corpus", "data.subwords.size"))]
    arguments = [*chosen, "data=text", *corpus, "data.subwords.size=300", "data.batch.tokens=60"]
    result = forked("train", *arguments, "hydra.run.dir=grown", cwd=work, before=At(STEP, call=10))
    killed(result)
    vocabulary = (work / "grown" / "subwords.model").read_bytes()
    (work / "train.txt").write_text("\n".join([*lines, "a quick zebra jumps"] * 3) + "\n")
    result = succeeded(resumed(work, "grown"))
    assert "changed since the checkpoint was written, so epoch 0 starts over" in result.stderr
    assert (work / "grown" / "checkpoints" / "best" / "subwords.model").read_bytes() == vocabulary


def test_a_run_without_a_saved_state_says_to_start_again(work: Path) -> None:
    killed(started(work, "early", At(SAVE)))
    result = resumed(work, "early")
    assert result.returncode == 1
    assert "ended before it saved a state" in result.stderr


def test_a_configuration_changed_by_hand_is_refused(work: Path) -> None:
    shutil.copytree(work / "straight", work / "edited")
    path = work / "edited" / ".hydra" / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config["model"]["hidden_size"] = 10
    config["model"]["embedding_size"] = 10
    path.write_text(yaml.safe_dump(config))
    result = resumed(work, "edited")
    assert result.returncode == 1
    assert "does not fit" in result.stderr
    assert "Traceback" not in result.stderr
