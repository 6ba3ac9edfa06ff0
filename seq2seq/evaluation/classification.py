"""Scores of a classifier: accuracy with interval, precision, recall, F1, confusion counts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

Z95 = 1.959963984540054  # the 97.5 % quantile of the normal distribution


def classification_scores(
    gold: Sequence[str], predicted: Sequence[str], labels: Sequence[str], *, unlabeled: int = 0
) -> dict[str, Any]:
    """Compute accuracy, macro F1 and the scores of each class, in percent.

    For class c, with ``n_gp`` the number of examples of gold label g and prediction p::

        accuracy    Σ_c n_cc / n                       with its 95 % Wilson interval
        precision   n_cc / Σ_g n_gc                    0 if c was never predicted
        recall      n_cc / Σ_p n_cp                    0 if c never occurs
        f1          2 · precision · recall / (precision + recall), 0 if both are 0
        macro_f1    the mean of f1 over the classes
        majority    the accuracy of always predicting the most frequent gold label of this split

    Args:
        gold: the true label of each example.
        predicted: the predicted label of each example.
        labels: all classes, in the order of reports.
        unlabeled: number of examples that were left out because they have no gold label; part of
            the signature.

    Returns:
        ``{"accuracy": {"score": …, "interval": (…, …), "majority": …, "signature": …},
        "macro_f1": {"score": …, "signature": …}, "f1": {label: {"score": …, "precision": …,
        "recall": …, "predicted": {label: count}, "signature": …}}}``.

    Raises:
        ValueError: if there are no examples, the numbers of labels differ, or a label is not one
            of ``labels``.
    """
    if len(gold) != len(predicted) or not gold:
        raise ValueError(
            f"{len(gold):,} gold and {len(predicted):,} predicted labels: the numbers must be "
            "equal and at least one"
        )
    if unknown := sorted({*gold, *predicted} - set(labels)):
        raise ValueError(f"unknown label {unknown[0]!r}; expected one of: {', '.join(labels)}")
    pairs = Counter(zip(gold, predicted, strict=True))
    classes = {label: _class_scores(label, pairs, labels) for label in labels}
    number, right = len(gold), sum(pairs[label, label] for label in labels)
    low, high = (100 * bound for bound in wilson_interval(right, number))
    label, count = max(Counter(gold).items(), key=lambda item: item[1])
    majority = 100 * count / number
    signature = f"n:{number}|unlabeled:{unlabeled}|classes:{len(labels)}"
    return {
        "accuracy": {
            "score": 100 * right / number,
            "interval": (low, high),
            "majority": majority,
            "signature": f"{signature}|interval:wilson95|always {label}:{majority:.2f}",
        },
        "macro_f1": {
            "score": sum(scores["score"] for scores in classes.values()) / len(labels),
            "signature": signature,
        },
        "f1": classes,
    }


def _class_scores(
    label: str, pairs: Counter[tuple[str, str]], labels: Sequence[str]
) -> dict[str, Any]:
    """Return F1, precision and recall of a class, and how its examples were classified."""
    right = pairs[label, label]
    chosen = sum(pairs[other, label] for other in labels)
    predicted = {other: pairs[label, other] for other in labels}
    support = sum(predicted.values())
    precision = 100 * right / chosen if chosen else 0.0
    recall = 100 * right / support if support else 0.0
    counts = "|".join(f"as {other}:{count}" for other, count in predicted.items())
    return {
        "score": 200 * right / (chosen + support) if chosen + support else 0.0,
        "precision": precision,
        "recall": recall,
        "predicted": predicted,
        "signature": f"precision:{precision:.2f}|recall:{recall:.2f}|{counts}",
    }


def wilson_interval(right: int, number: int, z: float = Z95) -> tuple[float, float]:
    """Return the confidence interval of a binomial's true share (Wilson 1927).

    It has all p with ``|right/number − p| ≤ z √(p (1 − p) / number)``; z = 1.96 covers 95 %.
    """
    share = right / number
    center = share + z**2 / (2 * number)
    half = z * math.sqrt(share * (1 - share) / number + z**2 / (4 * number**2))
    scale = 1 + z**2 / number
    return max(0.0, (center - half) / scale), min(1.0, (center + half) / scale)
