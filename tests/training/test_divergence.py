"""Diverged models are distinguished from models that guess or overfit."""

from __future__ import annotations

import math

import pytest

from seq2seq.mappings import Entmax, Softmax, Sparsemax
from seq2seq.nn.log_probabilities import LogProbabilities
from seq2seq.training.divergence import guessing_loss, has_diverged


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        (Softmax(), math.log(50)),
        (LogProbabilities(50), math.log(50)),
        (Sparsemax(), 0.5 * (1 - 1 / 50)),
    ],
)
def test_the_loss_of_guessing_is_that_of_equal_logits(mapping, expected):
    assert guessing_loss(mapping, 50) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("mapping", [Softmax(), Sparsemax(), Entmax()])
def test_only_losses_far_above_guessing_have_diverged(mapping):
    guessing = guessing_loss(mapping, 3)
    assert not has_diverged(3 * guessing, guessing), "an overfitted classifier"
    for loss in (11 * guessing, math.inf, math.nan):
        assert has_diverged(loss, guessing)
