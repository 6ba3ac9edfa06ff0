"""The exponential moving average of the weights, which validations and checkpoints use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from commands import SMALL, forked
from safetensors.torch import load_file
from small_runs import batches, fit

from seq2seq.mappings import Softmax
from seq2seq.models import Recurrent
from seq2seq.nn.losses import SequenceLoss
from seq2seq.tasks.translation import Translation
from seq2seq.training.module import Seq2SeqModule
from seq2seq.training.schedules import constant


class Snapshots(lightning.Callback):
    """The weights after every update."""

    def __init__(self) -> None:
        self.weights: list[dict[str, torch.Tensor]] = []

    def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
        self.weights.append({n: p.detach().clone() for n, p in module.model.named_parameters()})


def seq2seq_module(decay: float | None) -> Seq2SeqModule:
    torch.manual_seed(3)
    model = Recurrent(30, 30, mapping=Softmax(), embedding_size=8, hidden_size=8)
    sgd = torch.optim.SGD
    return Seq2SeqModule(
        Translation(),
        model,
        SequenceLoss(),
        lambda parameters: sgd(parameters, lr=0.5),
        constant,
        ema_decay=decay,
    )


def test_the_average_is_the_recursion_over_the_updates() -> None:
    module, snapshots = seq2seq_module(0.8), Snapshots()
    module.begin_average()
    fit(module, batches(5), callbacks=[snapshots])
    expected = snapshots.weights[0]
    for weights in snapshots.weights[1:]:
        expected = {n: 0.8 * expected[n] + 0.2 * weights[n] for n in weights}
    averaged = dict(module.whole_model().named_parameters())
    for name, value in expected.items():
        torch.testing.assert_close(averaged[name].detach(), value, rtol=1e-5, atol=1e-6)
    assert module.whole_model() is not module.model
    assert seq2seq_module(None).averaged is None


@pytest.mark.parametrize("decay", [0.0, 1.0, -1.0])
def test_a_decay_out_of_its_range_is_refused(decay: float) -> None:
    with pytest.raises(ValueError, match=r"ema\.decay=.* has to be above 0 and below 1"):
        seq2seq_module(decay)


@pytest.mark.e2e
@pytest.mark.slow
def test_a_resumed_run_ends_with_the_same_average(tmp_path: Path) -> None:
    options = [*SMALL, "validation.every_n_steps=3", "validation.average=false"]
    options += ["trainer.accelerator=cpu", "ema.decay=0.5"]
    options += ["annealing=linear", "annealing.start=4", "attention=sparsemax", "schedule=constant"]
    for run, steps in (("whole", 6), ("part", 3)):
        # The limit belongs to the schedules: both have the same, and one run is stopped early.
        arguments = [*options, f"trainer.max_steps={steps}", "annealing.steps=6"]
        result = forked("train", *arguments, f"hydra.run.dir={run}", cwd=tmp_path)
        assert result.returncode == 0, result.stderr
    result = forked("train", "resume=part", "trainer.max_steps=6", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    weights = [
        torch.load(tmp_path / run / "resume.ckpt", weights_only=True)["state_dict"]
        for run in ("whole", "part")
    ]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    [last] = (tmp_path / "whole" / "checkpoints").glob("step*6")
    saved = load_file(last / "model.safetensors")
    for name, weight in saved.items():
        assert torch.equal(weight, weights[0][f"averaged.module.{name}"]), name
    name = "source_embedding.weight"
    assert not torch.equal(saved[name], weights[0][f"model.{name}"])
