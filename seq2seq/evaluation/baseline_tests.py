"""The rows of a table against its baseline: which runs are paired, and what the tests found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from seq2seq.evaluation.comparison_table import Cell, Row
from seq2seq.evaluation.run_differences import at, differences, show
from seq2seq.evaluation.runs import Run
from seq2seq.evaluation.scores import METRICS
from seq2seq.evaluation.significance import TESTS, combined_p, compare_texts, compare_values


class BaselineTests:
    """Tests the scores of each row against those of its baseline, run by run of the same seed.

    Args:
        keys: what the labels of the rows are values of.
        rows: of a table; their cells get the p values.
        baseline: a label.
        test: one of ``TESTS``.
        samples: None: sacreBLEU's number.
        level: below which p values are marked.
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
        self.untested: dict[str, None] = {}  # reasons, each once
        self.design = ""
        self.pairs: set[int] = set()

    def run(self, scores: Iterable[str]) -> Iterable[str]:
        """Put p values into the cells; what to say of them."""
        partners = {id(row): self._baseline_of(row) for row in self.rows}
        bases = {id(base): base for base in partners.values() if base is not None}
        if not bases:
            yield f"Not tested: there is no row {self.baseline}; name another with baseline=…."
            return
        for score in scores:
            for base in bases.values():
                rows = [row for row in self.rows if partners[id(row)] is base and row is not base]
                self._test_rows(score, base, rows)
        if self.pairs:
            yield (
                f"† differs from {self.baseline}, p < {self.level:g}: {TESTS[self.test_name][1]}, "
                f"{self.design}; not corrected for the number of comparisons."
            )
        if max(self.pairs, default=1) > 1:
            yield (
                "Runs of equal seed are paired; of the p values of n seeds, p = n/k times the k-th "
                "smallest, k = ⌈n/2⌉ (Rüger 1978), a seed that differs in the other direction than "
                "their mean counting as 1."
            )
        yield from self.untested

    def _baseline_of(self, row: Row) -> Row | None:
        """The row that has the baseline's label, and else what ``row`` has."""
        for index, key in enumerate(self.keys):
            rest = [k for k, name in enumerate(self.keys) if not f"{name}.".startswith(f"{key}.")]
            for other in self.rows:
                if other.labels[index] == self.baseline and all(
                    other.labels[k] == row.labels[k] for k in rest
                ):
                    return other
        return None

    def _test_rows(self, score: str, base: Row, rows: Sequence[Row]) -> None:
        found: dict[int, list[tuple[float, float]]] = {id(row): [] for row in rows}
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
                found[id(row)].append((p, value - scores[0]))
        for row in rows:
            if pairs := found[id(row)]:
                cell = row.cells[score]
                p = combined_p(*zip(*pairs, strict=True))
                row.cells[score] = Cell(cell.mean, cell.deviation, p)
                self.pairs.add(len(pairs))

    def _paired(
        self, score: str, runs: Sequence[Run]
    ) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Scores of the runs, and the p values of all but the first."""
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
                raise ValueError(f"{runs[0].split} has other numbers of hypotheses by run")
            tested = compare_texts(
                score,
                runs[0].signatures[score],
                [text for text in texts if text is not None],
                references,
                self.test_name,
                self.samples,
            )
        else:
            raise ValueError(f"{score} has neither texts nor values of examples to test it by")
        for run, value in zip(runs, tested.scores, strict=True):
            if abs(value - run.scores[score]) > 1e-6:
                raise ValueError(
                    f"{score} of {run.place} is {run.scores[score]:.4f} in metrics.json, but its "
                    f"outputs of {run.split} have {value:.4f}"
                )
        fields = dict(part.partition(":")[::2] for part in tested.signature.split("|"))
        number = int(fields["bs" if "bs" in fields else "ar"])
        self.design = f"sacreBLEU, {number:,} samples, seed {fields['seed']}"
        return tested.scores, tested.p_values


def pairing(rows: Sequence[Row]) -> list[dict[str, list[Run]]]:
    """For each row, its runs by what pairs them: the seed, and what else differs within a row."""
    within = sorted({key for row in rows for key in differences([run.config for run in row.runs])})
    found = []
    for row in rows:
        runs: dict[str, list[Run]] = {}
        for run in row.runs:
            rest = [show(at(run.config, key)) for key in within]
            runs.setdefault(repr((run.config.get("seed"), rest)), []).append(run)
        found.append(runs)
    return found
