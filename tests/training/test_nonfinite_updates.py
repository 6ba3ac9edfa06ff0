"""Non-finite updates are skipped, and many consecutive ones stop the run."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import ADAM, batches, same, train
from torch import Tensor

from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.mappings import Mapping
from seq2seq.nn.chunked_loss import Projected
from seq2seq.nn.losses import SequenceLoss, SequenceLossOutput
from seq2seq.training.nonfinite_updates import MOST_FILES, NonfiniteGuard
from seq2seq.training.optimizer import build_optimizer

Spoil = Callable[[Tensor, Projected], Tensor]


def _infinite_gradient(loss: Tensor, logits: Projected) -> Tensor:
    logits.states.register_hook(lambda gradient: gradient + math.inf)
    return loss


KINDS: dict[str, Spoil] = {
    "loss nan": lambda loss, logits: loss * math.nan,
    "loss inf, gradient finite": lambda loss, logits: loss + math.inf,
    "loss finite, gradient inf": _infinite_gradient,
}


class Spoiled(SequenceLoss):
    """The loss, spoiled at the calls (from 1) in ``at``."""

    def __init__(self, at: set[int], spoil: Spoil = KINDS["loss nan"]) -> None:
        super().__init__()
        self.at, self.spoil, self.calls = at, spoil, 0

    def __call__(
        self, logits: Tensor, target: Tensor, mapping: Mapping, attention: Tensor | None = None
    ) -> SequenceLossOutput:
        found = super().__call__(logits, target, mapping, attention)
        self.calls += 1
        if self.calls in self.at:
            return found._replace(loss_sum=self.spoil(found.loss_sum, logits))
        return found


OPTIMIZERS = {
    "adam": ADAM,
    "adamw": functools.partial(torch.optim.AdamW, lr=0.01, weight_decay=0.5),
    "sgd": functools.partial(torch.optim.SGD, lr=0.1, momentum=0.9, weight_decay=0.1),
    "fused adamw": functools.partial(torch.optim.AdamW, lr=0.01, weight_decay=0.5, fused=True),
    "fused sgd": functools.partial(torch.optim.SGD, lr=0.1, momentum=0.9, fused=True),
}


@pytest.mark.parametrize(
    ("optimizer", "kind"),
    [*((name, "loss nan") for name in OPTIMIZERS), *(("adam", kind) for kind in [*KINDS][1:])],
)
def test_a_bad_update_changes_neither_weights_nor_the_optimizer(kind: str, optimizer: str) -> None:
    given, bad = batches(5), {1, 3}
    good = [batch for k, batch in enumerate(given, start=1) if k not in bad]
    nonfinite_guard = NonfiniteGuard()
    found, trainer = train(given, Spoiled(bad, KINDS[kind]), OPTIMIZERS[optimizer], nonfinite_guard)
    expected, _ = train(good, SequenceLoss(), OPTIMIZERS[optimizer])
    assert same(found, expected)
    assert nonfinite_guard.state_dict() == {"skipped": 2, "in_row": 0}
    assert trainer.global_step == 5, "a skipped update is a step of the schedule"


def test_a_bad_batch_spoils_its_update_and_no_other() -> None:
    given = batches(6)
    found, _ = train(given, Spoiled({3}), accumulate_grad_batches=2)
    expected, _ = train(given[:2] + given[4:], SequenceLoss(), accumulate_grad_batches=2)
    assert same(found, expected)


def test_they_are_counted_and_logged_and_good_losses_are_still_seen() -> None:
    _, trainer = train(batches(6), Spoiled({2, 4, 5}), log_every_n_steps=3)
    assert trainer.callback_metrics["train/skipped_updates"] == 3
    assert trainer.callback_metrics["train/loss"].isfinite()


@pytest.mark.parametrize("optimizer", ["adam", "fused adamw"])
def test_many_consecutive_ones_stop_training_and_say_what_to_try(
    optimizer: str, tmp_path: Path
) -> None:
    nonfinite_guard = NonfiniteGuard(tmp_path, None, max_bad_updates=3)
    loss = Spoiled({2, 3, 5, 6, 7})
    with pytest.raises(FloatingPointError, match=r"3 updates in a row.* step 7.*optimizer\.lr"):
        train(batches(9), loss, OPTIMIZERS[optimizer], nonfinite_guard, log_every_n_steps=1)
    assert loss.calls == 7
    assert nonfinite_guard.skipped == 5


def test_training_continues_without_a_limit() -> None:
    nonfinite_guard = NonfiniteGuard(max_bad_updates=None)
    train(batches(12), Spoiled(set(range(1, 13))), nonfinite_guard=nonfinite_guard)
    assert nonfinite_guard.in_row == 12


def test_unchecked_updates_are_counted_before_a_state_is_saved(
    caplog: pytest.LogCaptureFixture,
) -> None:
    parameter = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.Adam([parameter], fused=True)
    nonfinite_guard = NonfiniteGuard()
    for step, factor in enumerate([1.0, math.nan, math.inf, 1.0, math.nan], start=1):
        optimizer.zero_grad()
        nonfinite_guard.guard(parameter.sum() * factor, torch.ones(())).backward()
        assert parameter.grad is not None
        nonfinite_guard.judge(optimizer, parameter.grad.norm(), step)
        optimizer.step()
    assert not caplog.records
    assert nonfinite_guard.state_dict() == {"skipped": 3, "in_row": 1}
    assert [record.message for record in caplog.records] == [
        "update 2 skipped: loss nan, gradient norm nan",
        "update 3 skipped: loss inf, gradient norm nan",
        "update 5 skipped: loss nan, gradient norm nan",
    ]
    assert parameter.isfinite().all()


def test_bad_batches_are_written_readably_and_only_a_few(
    tmp_path: Path, subwords: VocabularyPair
) -> None:
    nonfinite_guard = NonfiniteGuard(tmp_path / "bad", subwords, max_bad_updates=None)
    given = batches(9)
    text = "a small sentence with words"
    ids = [*subwords.source.encode(text), 3]
    given[1].source = torch.tensor([ids, ids])
    given[1].source_lengths = torch.tensor([len(ids), len(ids)])
    assert max(ids) < 30, "which the model knows"
    train(given, Spoiled(set(range(2, 10))), nonfinite_guard=nonfinite_guard)
    files = sorted(path.name for path in (tmp_path / "bad").iterdir())
    assert files == [f"step-00000{k}.json" for k in range(2, 2 + MOST_FILES)]
    record = json.loads((tmp_path / "bad" / files[0]).read_text())
    assert record["batches"][0]["loss"] == "nan"
    first = record["batches"][0]["sentences"][0]
    assert first["source"] == text
    assert first["source_ids"] == ids
    assert first["index"] == 2


def test_a_full_disk_does_not_end_training(tmp_path: Path, subwords: VocabularyPair) -> None:
    (tmp_path / "file").write_text("")
    nonfinite_guard = NonfiniteGuard(tmp_path / "file" / "bad", subwords)
    train(batches(3), Spoiled({2}), nonfinite_guard=nonfinite_guard)
    assert nonfinite_guard.skipped == 1


def test_counts_continue_in_a_resumed_run() -> None:
    nonfinite_guard = NonfiniteGuard(max_bad_updates=3)
    nonfinite_guard.load_state_dict({"skipped": 7, "in_row": 2})
    with pytest.raises(FloatingPointError):
        train(batches(3), Spoiled({1}), nonfinite_guard=nonfinite_guard)
    assert nonfinite_guard.state_dict() == {"skipped": 8, "in_row": 3}


class Device:
    """What a batch ends with, where looking at a norm would wait for a device."""

    def __init__(self, step: int) -> None:
        self.global_step, self.log_every_n_steps = step, 50
        self.logged: dict[str, float] = {}

    def log(self, name: str, value: float) -> None:
        self.logged[name] = value


def ends(
    nonfinite_guard: NonfiniteGuard, step: int, norm: Tensor, saves: bool = False
) -> dict[str, float]:
    """End the batch of an update; what was logged."""
    parameter = torch.nn.Parameter(torch.ones(2, device="meta"))
    optimizer = torch.optim.SGD([parameter], lr=0.1, fused=False)
    optimizer.state[parameter]["step"] = 1
    optimizer.param_groups[0]["fused"] = True
    device: Any = Device(step)
    nonfinite_guard.judge(optimizer, norm, step)
    if saves:
        nonfinite_guard.state_dict()
    nonfinite_guard.on_train_batch_end(device, device, None, None, 0)
    return device.logged


def test_a_run_goes_on_from_a_state_in_which_the_limit_was_reached() -> None:
    """Its next update may be good, and on a GPU that is known only later."""
    nonfinite_guard = NonfiniteGuard(max_bad_updates=10)
    nonfinite_guard.load_state_dict({"skipped": 45, "in_row": 45})
    ends(nonfinite_guard, 51, torch.ones((), device="meta"))


def test_what_was_skipped_is_logged_where_a_state_is_saved_too() -> None:
    nonfinite_guard = NonfiniteGuard()
    nonfinite_guard.load_state_dict({"skipped": 3, "in_row": 0})
    assert ends(nonfinite_guard, 50, torch.ones(()), saves=True) == {"train/skipped_updates": 3.0}


@pytest.mark.parametrize(("scale", "counted"), [(65536.0, 0), (1.0, 1)])
def test_half_precision_overflows_are_handled_by_the_scaler(scale: float, counted: int) -> None:
    parameter = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    nonfinite_guard = NonfiniteGuard()
    nonfinite_guard._scaler = scaler
    loss = nonfinite_guard.guard((parameter * torch.tensor([1.0, 2.0])).sum(), torch.ones(()))
    scaler.scale(loss).backward()
    assert parameter.grad is not None
    parameter.grad[0] = math.inf
    scaler.unscale_(optimizer)
    nonfinite_guard.judge(optimizer, parameter.grad.norm(), 1)
    scaler.step(optimizer)
    scaler.update()
    assert parameter.tolist() == [1.0, 1.0]
    assert scaler.get_scale() == scale / 2
    assert nonfinite_guard.state_dict()["skipped"] == counted


def test_a_scaled_loss_and_a_fused_optimizer_are_refused() -> None:
    parameters = [torch.nn.Parameter(torch.ones(2))]
    with pytest.raises(ValueError, match=r"optimizer\.fused=true does not work"):
        build_optimizer(OPTIMIZERS["fused sgd"], parameters, scaled=True)
    with pytest.raises(ValueError, match=r"survival\.max_bad_updates=0"):
        NonfiniteGuard(max_bad_updates=0)


@pytest.mark.gpu
def test_on_a_gpu_the_optimizer_is_fused_and_no_step_waits() -> None:
    model = torch.nn.Linear(3, 3, device="cuda")
    build = functools.partial(torch.optim.Adam, lr=0.1)
    optimizer = build_optimizer(build, [*model.parameters()], scaled=False)
    assert all(group["fused"] for group in optimizer.param_groups)
    model(torch.ones(2, 3, device="cuda")).sum().backward()
    optimizer.step()
    before = [p.detach().clone() for p in model.parameters()]
    nonfinite_guard = NonfiniteGuard()
    torch.cuda.set_sync_debug_mode("error")
    try:
        loss = nonfinite_guard.guard(
            model(torch.ones(2, 3, device="cuda")).sum() * math.inf, torch.ones((), device="cuda")
        )
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.get_total_norm([p.grad for p in model.parameters()])
        nonfinite_guard.judge(optimizer, norm, 2)
        optimizer.step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))
    assert nonfinite_guard.state_dict()["skipped"] == 1
