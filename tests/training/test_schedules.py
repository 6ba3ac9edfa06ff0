"""The learning rate follows its formula at every update."""

from __future__ import annotations

import math

import pytest
import torch

from seq2seq.training import schedules


def rates(schedule, updates: int, lr: float = 2.0) -> list[float]:
    """Return the learning rate of each update, counted from 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler = schedule(optimizer)
    used = []
    for _ in range(updates):
        used.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return used


def test_constant_rises_to_the_rate_and_stays() -> None:
    used = rates(lambda o: schedules.constant(o, warmup_steps=4), 8)
    assert used == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0, 2.0, 2.0, 2.0])


def test_inverse_square_root_peaks_at_the_end_of_warm_up_and_halves_at_four_times_it() -> None:
    used = rates(lambda o: schedules.inverse_square_root(o, warmup_steps=10), 40)
    assert max(used) == used[9] == pytest.approx(2.0)
    assert used[39] == pytest.approx(1.0)
    assert used[0] == pytest.approx(0.2)


def test_noam_is_the_formula_of_the_transformer_paper() -> None:
    used = rates(lambda o: schedules.noam(o, size=64, warmup_steps=5), 12)
    expected = [2.0 * 64**-0.5 * min(t**-0.5, t * 5**-1.5) for t in range(1, 13)]
    assert used == pytest.approx(expected)


def test_stepwise_is_halved_at_every_epoch_from_some_epoch_on() -> None:
    used = rates(lambda o: schedules.stepwise(o, start=4, every_n_steps=2), 9)
    assert used == pytest.approx([2.0, 2.0, 2.0, 2.0, 1.0, 1.0, 0.5, 0.5, 0.25])
    slower = rates(lambda o: schedules.stepwise(o, start=1, every_n_steps=1, factor=0.9), 3)
    assert slower == pytest.approx([2.0, 1.8, 1.62])
    with pytest.raises(ValueError, match=r"schedule\.every_n_steps must be at least 1"):
        rates(lambda o: schedules.stepwise(o, start=1, every_n_steps=0), 1)


def test_cosine_ends_at_its_final_share() -> None:
    used = rates(lambda o: schedules.cosine(o, total_steps=20, warmup_steps=4, final=0.1), 20)
    assert used[3] == pytest.approx(2.0)
    assert used[11] == pytest.approx(2.0 * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * 0.5))))
    assert used[19] == pytest.approx(0.2)


def test_cosine_warms_up_for_at_most_half_of_a_short_run() -> None:
    used = rates(lambda o: schedules.cosine(o, total_steps=10, warmup_steps=100), 10)
    assert max(used) == used[4] == pytest.approx(2.0)
    assert used[9] == pytest.approx(0.0)


def test_plateau_warms_up_then_halves_when_the_loss_stands_still() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    schedule = schedules.Plateau(optimizer, warmup_steps=4, factor=0.5, patience=1)
    used = []
    for update in range(10):
        schedule.warm_up(update)
        used.append(optimizer.param_groups[0]["lr"])
        schedule.step(1.0)  # a validation after every update, never better than the first
    assert used == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0, 2.0, 2.0, 1.0, 1.0, 0.5])


@pytest.mark.parametrize(
    ("build", "word"),
    [
        (lambda o: schedules.inverse_square_root(o, warmup_steps=0), "warmup_steps"),
        (lambda o: schedules.cosine(o, total_steps=-1), r"trainer\.max_steps"),
        (lambda o: schedules.noam(o, size=0), "size"),
    ],
)
def test_impossible_settings_are_refused_by_name(build, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        rates(build, 1)
