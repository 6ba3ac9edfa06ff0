"""Compare runs: a row for each configuration, averaged over seeds, with significance tests."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from seq2seq.evaluation.baseline_tests import BaselineTests, pairing
from seq2seq.evaluation.comparison_table import Cell, Comparison, Row, heading
from seq2seq.evaluation.run_differences import at, differences, show, shown_by
from seq2seq.evaluation.runs import Run
from seq2seq.evaluation.significance import TESTS

#: Default columns after the scores.
STATISTICS = (
    *("support_size", "zero_share", "run_length"),  # attention
    *("aer", "segment_exact"),  # agreement with gold alignments
    *("seconds_per_epoch", "parameters"),
)


def compare(
    runs: Sequence[Run],
    *,
    by: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    baseline: str | None = None,
    test: str | None = "bootstrap",
    samples: int | None = None,
    level: float = 0.05,
) -> list[Comparison]:
    """Return tables of runs, one for each combination of test set and score signatures.

    Args:
        runs: complete runs, as ``find_runs`` returns them.
        by: configuration keys that name the rows; None: all keys in which the runs of a table
            differ, except the seed.
        columns: names of scores, statistics, times; None: all scores and ``STATISTICS``.
        baseline: label of the rows that the others are compared with; None: ``softmax``, if a row
            has that label.
        test: one of ``TESTS``; None: no tests.
        samples: number of samples of the test; None: sacreBLEU's default.
        level: significance level; smaller p values are marked.

    Raises:
        ValueError: if no run has a key, a column or the baseline.
    """
    groups: dict[Any, list[Run]] = {}
    for run in runs:
        groups.setdefault(comparable(run), []).append(run)
    known = {name for run in runs for name in (*run.scores, *STATISTICS)}
    for name in columns or ():
        if all(run.measure(name) is None for run in runs):
            raise ValueError(f"columns: no run has {name}; choose from {', '.join(sorted(known))}")
    if not 0 < level < 1:
        raise ValueError(f"level={level} must be between 0 and 1, such as 0.05")
    if test not in (None, *TESTS):
        raise ValueError(f"test={test} is unknown; choose {', '.join(TESTS)}, or null")
    labels = {label for group in groups.values() for row in _rows(group, by)[1] for label in row}
    if baseline is not None and baseline not in labels:
        raise ValueError(
            f"baseline={baseline}: no row has this label; choose from {', '.join(sorted(labels))}"
        )
    return [
        _comparison(group, by, columns, baseline or "softmax", test, samples, level)
        for group in groups.values()
    ]


def comparable(run: Run) -> tuple[Any, ...]:
    """Return a key that is equal for runs of one table: task, split, texts, score signatures."""
    # Older runs did not record their texts; the configuration of the corpus stands for them.
    texts = run.metrics.get("texts") or at(run.config, "data.corpus")
    return (
        show(at(run.config, "task._target_")),
        run.split,
        show(texts),
        tuple(sorted(run.signatures.items())),
    )


def _rows(runs: Sequence[Run], by: Sequence[str] | None) -> tuple[tuple[str, ...], list[tuple]]:
    """Return the keys that name the rows, and each run's labels."""
    configs = [run.config for run in runs]
    labels = differences(configs) if by is None else shown_by(configs, by)
    if not labels:  # the runs differ in their seeds only
        labels = shown_by(configs, ["attention" if at(configs[0], "attention") else "model"])
    return tuple(labels), list(zip(*labels.values(), strict=True))


def _comparison(
    runs: list[Run],
    by: Sequence[str] | None,
    columns: Sequence[str] | None,
    baseline: str,
    test: str | None,
    samples: int | None,
    level: float,
) -> Comparison:
    keys, labels = _rows(runs, by)
    rows: dict[tuple, Row] = {}
    for label, run in zip(labels, runs, strict=True):
        rows.setdefault(label, Row(label, [])).runs.append(run)
    wanted = columns or [*runs[0].scores, *STATISTICS]
    measures = [name for name in wanted if any(run.measure(name) is not None for run in runs)]
    for row in rows.values():
        for name in measures:
            values = [v for run in row.runs if (v := run.measure(name)) is not None]
            if values:
                deviation = statistics.stdev(values) if len(values) > 1 else None
                row.cells[name] = Cell(statistics.fmean(values), deviation)
    notes = [*_groups_note(list(rows.values()), by)]
    scores = [name for name in measures if name in runs[0].scores]
    if test is not None and len(rows) > 1:
        notes += BaselineTests(keys, list(rows.values()), baseline, test, samples, level).run(
            scores
        )
    notes += _signature_notes(runs[0], scores)
    if any(name.startswith("seconds") for name in measures):
        notes.append("Seconds are wall-clock time of training, without validations.")
    return Comparison(_about(runs), keys, tuple(measures), list(rows.values()), notes, level)


def _about(runs: Sequence[Run]) -> str:
    config = runs[0].config
    task = at(config, "task._target_") or "translation"
    corpus = at(config, "data.corpus") or {}
    languages = [at(config, f"data.corpus.{side}_language") for side in ("source", "target")]
    pair = f" {'→'.join(map(show, languages))}" if all(languages) else ""
    number = len(runs[0].hypotheses() or ())
    size = f", {number:,} examples" if number else ""
    return f"{show({'_target_': task})}, {show(corpus)}{pair}, {runs[0].split} split{size}"


def _groups_note(rows: Sequence[Row], by: Sequence[str] | None) -> Iterable[str]:
    numbers = sorted({len(row.runs) for row in rows})
    if numbers[-1] > 1:
        many = f"{numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else str(numbers[0])
        yield f"Mean ± sample standard deviation over {many} runs."
    if by is not None:
        hidden = {key for row in rows for key in differences([run.config for run in row.runs])}
        if hidden:
            yield f"Runs of a row also differ in {', '.join(sorted(hidden))}."
    for row, ids in zip(rows, pairing(rows), strict=True):
        for duplicates in ids.values():
            if len(duplicates) > 1:
                names = " and ".join(str(run.folder) for run in duplicates)
                yield (
                    f"Row {row.labels[0]} counts runs of the same configuration and seed: {names}."
                )


def _signature_notes(run: Run, scores: Iterable[str]) -> Iterable[str]:
    """Yield each signature once, with the names of its scores."""
    names: dict[str, list[str]] = {}
    for score in scores:
        if run.signatures[score]:
            names.setdefault(run.signatures[score], []).append(heading(score))
    for signature, headings in names.items():
        yield f"{', '.join(headings)}: {signature}."
