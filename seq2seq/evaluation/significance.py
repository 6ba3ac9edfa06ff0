"""Significance of differences between systems on a test set, by sacreBLEU's paired tests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sacrebleu.metrics.base import Metric, Score, Signature
from sacrebleu.significance import PairedTest

from seq2seq.evaluation.reference_sets import check_references
from seq2seq.evaluation.scores import METRICS, load_tokenizer, tokenizer_in
from seq2seq.evaluation.writing_systems import DEFAULT

TESTS: Mapping[str, tuple[str, str]] = {
    "bootstrap": ("bs", "paired bootstrap resampling (Koehn 2004)"),
    "randomization": ("ar", "paired approximate randomization (Riezler and Maxwell 2005)"),
}
"""For each test: sacreBLEU's name and the name in the literature."""


@dataclass(frozen=True)
class Tested:
    """Result of a test: a metric's scores of several systems and the p values.

    Attributes:
        scores: scores of the systems, in order.
        p_values: p values of all systems except the first, which is the baseline; 1 if the score
            equals that of the first.
        signature: sacreBLEU's signature of the metric and the test.
    """

    scores: tuple[float, ...]
    p_values: tuple[float, ...]
    signature: str


class MeanOfValues(Metric):
    """Metric for sacreBLEU's tests whose score is the mean of one value per example."""

    def _extract_corpus_statistics(self, hypotheses: Any, references: Any) -> list[list[float]]:
        self.num_refs = 1
        return [[float(value), 1.0] for value in hypotheses]

    def _aggregate_and_compute(self, stats: Any) -> Score:
        return self._compute_score_from_stats(np.asarray(stats, dtype="float64").sum(0))

    def _compute_score_from_stats(self, stats: Any) -> Score:
        return Score("mean", float(stats[0]) / float(stats[1]))

    def get_signature(self) -> Any:
        """Return an empty signature; the test adds its own fields."""
        return Signature({"num_refs": None})

    def _preprocess_segment(self, sent: str) -> str:
        raise NotImplementedError

    def _extract_reference_info(self, refs: Sequence[str]) -> dict[str, Any]:
        raise NotImplementedError

    def _compute_segment_statistics(self, hypothesis: str, ref_kwargs: dict) -> list[Any]:
        raise NotImplementedError


def compare_texts(
    name: str,
    signature: str,
    systems: Sequence[Sequence[str]],
    references: Sequence[Sequence[str]],
    test: str = "bootstrap",
    samples: int | None = None,
) -> Tested:
    """Test a sacreBLEU metric on the texts of each system; the first system is the baseline.

    Args:
        name: one of ``METRICS``.
        signature: the metric's signature when it scored the systems; it names the tokenizer.
        systems: one list of hypotheses per system.
        references: one list per reference set.
        test: one of ``TESTS``.
        samples: number of resamples or trials; None: sacreBLEU's 1,000 or 10,000.

    Raises:
        ValueError: if this version of sacreBLEU computes a metric with another signature.
    """
    for hypotheses in systems:
        check_references(hypotheses, references)
    tokenizer = tokenizer_in(signature) if name == "bleu" else DEFAULT  # only BLEU has tokenizers
    try:
        load_tokenizer(tokenizer)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    metric = METRICS[name](tokenizer)
    tested = _paired(metric, systems, references, test, samples)
    if str(metric.get_signature()) != signature:
        raise ValueError(
            f"{name}: the runs were scored with {signature}, but this version of sacreBLEU "
            f"computes {metric.get_signature()}"
        )
    return tested


def compare_values(
    systems: Sequence[Sequence[float]], test: str = "bootstrap", samples: int | None = None
) -> Tested:
    """Test a score that is a mean over examples, on the values of each system.

    Raises:
        ValueError: if the systems have different numbers of values.
    """
    if len(counts := {len(values) for values in systems}) > 1:
        raise ValueError(
            "the systems have different numbers of values: "
            f"{' and '.join(map(str, sorted(counts)))}"
        )
    return _paired(MeanOfValues(), systems, None, test, samples)


def _paired(
    metric: Metric, systems: Sequence[Any], references: Any, test: str, samples: int | None
) -> Tested:
    named: list[tuple[str, Any]] = [(str(n), list(system)) for n, system in enumerate(systems)]
    paired = PairedTest(named, {"it": metric}, references, TESTS[test][0], samples or 0)
    signatures, columns = paired()
    [(name, signature)] = signatures.items()
    results: list[Any] = columns[name]
    scores = tuple(float(result.score) for result in results)
    # For equal systems, sacreBLEU returns the smallest possible p value; 1 is correct.
    p_values = (1.0 if r.score == scores[0] else float(r.p_value) for r in results[1:])
    return Tested(scores, tuple(p_values), str(signature))


def combined_p(p_values: Sequence[float], differences: Sequence[float]) -> float:
    """Combine the p values of several tests, which may depend on each other in any way.

    With p₍₁₎ ≤ … ≤ p₍ₙ₎ and k = ⌈n/2⌉:  p = min(1, n/k · p₍ₖ₎)  (Rüger 1978). For a single test
    this is its own p. A test counts as p = 1 if its difference does not have the sign of the mean
    difference, because systems that differ in both directions do not differ consistently.

    Args:
        p_values: p values of two-sided tests.
        differences: the tested difference of each.
    """
    mean = math.fsum(differences)
    ordered = sorted(
        p if difference * mean > 0 else 1.0
        for p, difference in zip(p_values, differences, strict=True)
    )
    k = math.ceil(len(ordered) / 2)
    return min(1.0, len(ordered) / k * ordered[k - 1])
