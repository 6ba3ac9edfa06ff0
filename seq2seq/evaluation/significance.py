"""Whether systems differ on a test set by more than chance: sacreBLEU's paired tests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sacrebleu.metrics.base import Metric, Score
from sacrebleu.significance import PairedTest

from seq2seq.evaluation.reference_sets import check_references
from seq2seq.evaluation.scores import METRICS, load_tokenizer, tokenizer_in
from seq2seq.evaluation.writing import DEFAULT

TESTS: Mapping[str, tuple[str, str]] = {
    "bootstrap": ("bs", "paired bootstrap resampling (Koehn 2004)"),
    "randomization": ("ar", "paired approximate randomization (Riezler and Maxwell 2005)"),
}
"""sacreBLEU's name of each test, and the literature's."""


@dataclass(frozen=True)
class Tested:
    """A metric's scores of some systems, and whether they differ from the first's.

    Attributes:
        scores: of the systems, in their order.
        p_values: of the systems but the first; 1 where the score is that of the first.
        signature: of the metric and the test, sacreBLEU's.
    """

    scores: tuple[float, ...]
    p_values: tuple[float, ...]
    signature: str


class MeanOfValues(Metric):
    """A score that is the mean of one value an example, for sacreBLEU's tests of it."""

    def _extract_corpus_statistics(self, hypotheses: Any, references: Any) -> list[list[float]]:
        self.num_refs = 1
        return [[float(value), 1.0] for value in hypotheses]

    def _aggregate_and_compute(self, stats: Any) -> Score:
        return self._compute_score_from_stats(np.asarray(stats, dtype="float64").sum(0))

    def _compute_score_from_stats(self, stats: Any) -> Score:
        return Score("mean", float(stats[0]) / float(stats[1]))

    def get_signature(self) -> Any:
        """Only the test tells its part."""
        return self._SIGNATURE_TYPE({"num_refs": None})

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
    """Test one of sacreBLEU's metrics by the texts of each system; the first is the baseline.

    Args:
        name: one of ``METRICS``.
        signature: which that metric gave when it scored the systems: names its tokenizer.
        systems: one list of hypotheses each.
        references: one list a reference set.
        test: one of ``TESTS``.
        samples: resamples or trials; None: sacreBLEU's 1,000 or 10,000.

    Raises:
        ValueError: if this version of sacreBLEU does not compute what the signature says.
    """
    for hypotheses in systems:
        check_references(hypotheses, references)
    tokenizer = tokenizer_in(signature) if name == "bleu" else DEFAULT  # others have no choice
    try:
        load_tokenizer(tokenizer)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    metric = METRICS[name](tokenizer)
    tested = _paired(metric, systems, references, test, samples)
    if str(metric.get_signature()) != signature:
        raise ValueError(f"{name}: {signature} was scored, {metric.get_signature()} is computed")
    return tested


def compare_values(
    systems: Sequence[Sequence[float]], test: str = "bootstrap", samples: int | None = None
) -> Tested:
    """Test a score that is a mean over examples, by the values of each system.

    Raises:
        ValueError: if they have not as many.
    """
    if len(counts := {len(values) for values in systems}) > 1:
        raise ValueError(f"there are {' and '.join(map(str, sorted(counts)))} values of examples")
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
    # sacreBLEU calls a system better than itself by chance with the smallest p there is.
    p_values = (1.0 if r.score == scores[0] else float(r.p_value) for r in results[1:])
    return Tested(scores, tuple(p_values), str(signature))


def combined_p(p_values: Sequence[float], differences: Sequence[float]) -> float:
    """One p value of several tests that may depend on each other in any way.

    With p₍₁₎ ≤ … ≤ p₍ₙ₎ and k = ⌈n/2⌉:  p = min(1, n/k · p₍ₖ₎)  (Rüger 1978), which for one test is
    its own p. A test whose difference has not the sign of their mean counts as p = 1: systems that
    differ in either direction, by the seed, do not differ in one.

    Args:
        p_values: of two-sided tests.
        differences: that they tested.
    """
    mean = math.fsum(differences)
    ordered = sorted(
        p if difference * mean > 0 else 1.0
        for p, difference in zip(p_values, differences, strict=True)
    )
    k = math.ceil(len(ordered) / 2)
    return min(1.0, len(ordered) / k * ordered[k - 1])
