"""A warning for attention that becomes one-hot early."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from seq2seq.training.attention_collapse import CollapseWarning


def metrics(share: float) -> dict[str, Any]:
    return {
        "loss": 1.0,
        "bleu": {"score": 3.0},
        "attention": {"overall": {"one_word_share": share, "no_gradient_share": 0.97}},
    }


def test_the_warning_says_what_where_and_which_key(caplog: pytest.LogCaptureFixture) -> None:
    config = {"attention": {"gamma": 1.0}, "model": {"strength": "absolute"}}
    CollapseWarning(config)(metrics(0.83), step=500, validations=1)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.message == (
        "step 500: attention looks at a single word in 83 % of all cases, and 97 % of the scores "
        "receive no gradient, so training may stall. Set model.strength=relative (now absolute), "
        "or raise attention.gamma (now 1)."
    )


def test_at_relative_strength_the_key_is_gamma(caplog: pytest.LogCaptureFixture) -> None:
    config = {"attention": {"gamma": 0.1}, "model": {"strength": "relative"}}
    CollapseWarning(config)(metrics(0.83), step=500, validations=1)
    assert caplog.messages[0].endswith("may stall. Raise attention.gamma (now 0.1).")


def test_a_run_is_warned_once_and_in_its_first_validations(
    caplog: pytest.LogCaptureFixture,
) -> None:
    late, early = CollapseWarning({}), CollapseWarning({})
    late(metrics(0.83), step=4000, validations=4)
    early(metrics(0.2), step=500, validations=1)
    assert not caplog.records
    early(metrics(0.83), step=1000, validations=2)
    early(metrics(0.83), step=1500, validations=3)
    assert len(caplog.records) == 1
