"""Runs with compile=default: exact resuming, and ordinary checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from commands import forked
from safetensors.torch import load_file

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.thorough]

TINY = [
    "data.corpus.train_size=300",
    "data.corpus.validation_size=6",
    "data.subwords.size=400",
    "data.batch.tokens=400",
    "model=transformer",
    "model.size=16",
    "model.feedforward_size=16",
    "model.heads=2",
    "model.encoder_layers=1",
    "model.decoder_layers=1",
    "validation.every_n_steps=3",
    "validation.heat_maps=0",
    "test.split=null",
    "trainer.accelerator=cpu",
    "schedule=constant",
    "compile=default",
    "compile.backend=aot_eager",  # without the half minute of a C++ compiler
]


def run(work: Path, *arguments: str) -> None:
    result = forked("train", *arguments, cwd=work)
    assert result.returncode == 0, result.stdout + result.stderr


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(str(folder / "checkpoints" / "step-000006" / "model.safetensors"))


def test_it_resumes_exactly_and_its_checkpoint_translates(tmp_path: Path) -> None:
    run(tmp_path, *TINY, "hydra.run.dir=straight", "trainer.max_steps=6")
    run(tmp_path, *TINY, "hydra.run.dir=half", "trainer.max_steps=3")
    run(tmp_path, "resume=half", "trainer.max_steps=6")
    straight, again = weights(tmp_path / "straight"), weights(tmp_path / "half")
    assert straight.keys() == again.keys()
    assert all(torch.equal(straight[name], again[name]) for name in straight)
    assert not any("_orig_mod" in name for name in straight)
    translated = forked("translate", "checkpoint=straight", cwd=tmp_path, stdin="a friend .\n")
    assert translated.returncode == 0, translated.stderr
    assert translated.stdout.count("\n") == 1
