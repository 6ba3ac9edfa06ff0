"""Accuracy and related scores, against hand-computed values and scipy's interval."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from seq2seq.evaluation.classification import classification_scores, wilson_interval

LABELS = ("yes", "maybe", "no")
#             yes→yes ×3, yes→no ×1, maybe→yes ×2, maybe→maybe ×1, no→no ×1
GOLD = ["yes"] * 4 + ["maybe"] * 3 + ["no"]
PREDICTED = ["yes", "yes", "yes", "no", "yes", "yes", "maybe", "no"]


def test_scores_are_those_worked_by_hand():
    scores = classification_scores(GOLD, PREDICTED, LABELS, unlabeled=2)
    assert scores["accuracy"]["score"] == 62.5
    assert scores["accuracy"]["majority"] == 50.0
    assert scores["accuracy"]["signature"].startswith(
        "n:8|unlabeled:2|classes:3|interval:wilson95|"
    )
    assert scores["accuracy"]["signature"].endswith("|always yes:50.00")
    yes, maybe, no = (scores["f1"][label] for label in LABELS)
    assert yes["precision"] == 60.0
    assert yes["recall"] == 75.0
    assert yes["score"] == pytest.approx(2 * 60 * 75 / 135)
    assert yes["predicted"] == {"yes": 3, "maybe": 0, "no": 1}
    assert yes["signature"] == "precision:60.00|recall:75.00|as yes:3|as maybe:0|as no:1"
    assert maybe["precision"] == 100.0
    assert maybe["recall"] == pytest.approx(100 / 3)
    assert maybe["score"] == pytest.approx(50.0)
    assert (no["precision"], no["recall"]) == (50.0, 100.0)
    assert scores["macro_f1"]["score"] == pytest.approx((2 * 60 * 75 / 135 + 50 + 200 / 3) / 3)


def test_a_class_that_is_never_seen_scores_zero():
    scores = classification_scores(["yes"], ["no"], LABELS)
    assert scores["f1"]["maybe"]["score"] == 0.0
    assert scores["f1"]["no"]["recall"] == 0.0
    assert scores["accuracy"]["score"] == 0.0


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_interval_is_that_of_scipy(counts):
    right, number = counts
    expected = binomtest(right, number).proportion_ci(0.95, method="wilson")
    assert wilson_interval(right, number) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(
    ("gold", "predicted", "message"),
    [
        ([], [], "at least one"),
        (["yes"], [], "must be equal"),
        (["yes"], ["y"], "'y'; expected one of: yes"),
    ],
)
def test_what_cannot_be_scored_is_refused(gold, predicted, message):
    with pytest.raises(ValueError, match=message):
        classification_scores(gold, predicted, LABELS)
