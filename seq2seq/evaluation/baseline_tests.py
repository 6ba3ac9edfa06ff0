"""Significance tests of the rows of a table against its baseline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from seq2seq.evaluation.comparison_table import Cell, Row
from seq2seq.evaluation.run_differences import at, differences, show
from seq2seq.evaluation.runs import Run
from seq2seq.evaluation.scores import METRICS
from seq2seq.evaluation.significance import TESTS, combined_p, compare_texts, compare_values


class BaselineTests:
    """Significance tests of each row against its baseline; runs of the same seed are paired.

    Args:
        keys: configuration keys whose values are the labels of the rows.
        rows: rows of a table; the tests write p values to their cells.
        baseline: label of the baseline.
        test: one of ``TESTS``.
        samples: number of samples; None: sacreBLEU's default.
        level: significance level; smaller p values are marked.
    """

    def __init__(
        self,
        keys: tuple[str, ...],
        rows: list[Row],
        baseline: str,
        test: str,
        samples: int | None,
        level: float,
    ) -> None:
        self.keys, self.rows = keys, rows
        self.baseline, self.test_name, self.samples, self.level = baseline, test, samples, level
        self.identities = pairing(rows)
        #: Reasons for missing tests. A dictionary keeps each once and in order.
        self.untested: dict[str, None] = {}
        self.design = ""
        self.pairs: set[int] = set()

    def run(self, scores: Iterable[str]) -> Iterable[str]:
        """Write p values to the cells and yield the notes that explain them."""
        partners = {id(row): self._baseline_of(row) for row in self.rows}
        bases = {id(base): base for base in partners.values() if base is not None}
        if not bases:
            yield f"Not tested: there is no row {self.baseline}; choose a row with baseline=…."
            return
        for score in scores:
            for base in bases.values():
                rows = [row for row in self.rows if partners[id(row)] is base and row is not base]
                self._test_rows(score, base, rows)
        if self.pairs:
            yield (
                f"† differs from {self.baseline}, p < {self.level:g}: {TESTS[self.test_name][1]}, "
                f"{self.design}. The p values are not corrected for the number of comparisons."
            )
        if max(self.pairs, default=1) > 1:
            yield (
                "Runs of the same seed are paired. The p values of n seeds are combined as p = n/k "
                "times the k-th smallest, k = ⌈n/2⌉ (Rüger 1978). A seed counts as p = 1 if its "
                "difference does not have the sign of the mean difference."
            )
        yield from self.untested

    def _baseline_of(self, row: Row) -> Row | None:
        """Return the row with the baseline's label and otherwise the labels of ``row``, or None."""
        for index, key in enumerate(self.keys):
            rest = [k for k, name in enumerate(self.keys) if not f"{name}.".startswith(f"{key}.")]
            for candidate in self.rows:
                if candidate.labels[index] == self.baseline and all(
                    candidate.labels[k] == row.labels[k] for k in rest
                ):
                    return candidate
        return None

    def _test_rows(self, score: str, base: Row, rows: Sequence[Row]) -> None:
        results: dict[int, list[tuple[float, float]]] = {id(row): [] for row in rows}
        partners = {id(row): ids for row, ids in zip(self.rows, self.identities, strict=True)}
        for seed, [first, *_] in partners[id(base)].items():
            others = [row for row in rows if seed in partners[id(row)]]
            if not others:
                continue
            runs = [first, *(partners[id(row)][seed][0] for row in others)]
            try:
                scores, p_values = self._paired(score, runs)
            except ValueError as error:
                self.untested[f"Not tested: {error}."] = None
                continue
            for row, value, p in zip(others, scores[1:], p_values, strict=True):
                results[id(row)].append((p, value - scores[0]))
        for row in rows:
            if pairs := results[id(row)]:
                cell = row.cells[score]
                p = combined_p(*zip(*pairs, strict=True))
                row.cells[score] = Cell(cell.mean, cell.deviation, p)
                self.pairs.add(len(pairs))

    def _paired(
        self, score: str, runs: Sequence[Run]
    ) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return the scores of the runs, and the p values of all except the first."""
        values = [run.values(score) for run in runs]
        if all(value is not None for value in values):
            tested = compare_values(
                [v for v in values if v is not None], self.test_name, self.samples
            )
        elif score in METRICS:
            texts = [run.hypotheses() for run in runs]
            references = runs[0].references()
            lacking = [r for r, t in zip(runs, texts, strict=True) if t is None or not references]
            if lacking:
                raise ValueError(
                    f"{lacking[0].place} lacks hypotheses.{lacking[0].split}.txt or its references"
                )
            if len({len(text or ()) for text in texts}) > 1:
                raise ValueError(
                    f"the runs have different numbers of hypotheses on {runs[0].split}"
                )
            tested = compare_texts(
                score,
                runs[0].signatures[score],
                [text for text in texts if text is not None],
                references,
                self.test_name,
                self.samples,
            )
        else:
            raise ValueError(f"{score} has neither texts nor values of examples for a test")
        for run, value in zip(runs, tested.scores, strict=True):
            if abs(value - run.scores[score]) > 1e-6:
                raise ValueError(
                    f"{score} of {run.place} is {run.scores[score]:.4f} in metrics.json, but "
                    f"{value:.4f} for its outputs on {run.split}"
                )
        fields = dict(part.partition(":")[::2] for part in tested.signature.split("|"))
        number = int(fields["bs" if "bs" in fields else "ar"])
        self.design = f"sacreBLEU, {number:,} samples, seed {fields['seed']}"
        return tested.scores, tested.p_values


def pairing(rows: Sequence[Row]) -> list[dict[str, list[Run]]]:
    """Return for each row its runs by identity, by which runs of different rows are paired.

    The identity is the seed and the values of all keys that differ within a row.
    """
    within = sorted({key for row in rows for key in differences([run.config for run in row.runs])})
    identities = []
    for row in rows:
        runs: dict[str, list[Run]] = {}
        for run in row.runs:
            rest = [show(at(run.config, key)) for key in within]
            runs.setdefault(repr((run.config.get("seed"), rest)), []).append(run)
        identities.append(runs)
    return identities
