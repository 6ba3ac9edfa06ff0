"""Tables of runs: rows, cells and their text."""

from __future__ import annotations

from dataclasses import dataclass, field

from seq2seq.evaluation.runs import Run

HEADINGS = {
    "bleu": "BLEU",
    "chrf": "chrF2",
    "chrf++": "chrF2++",
    "ter": "TER",
    "rouge_1": "ROUGE-1",
    "rouge_2": "ROUGE-2",
    "rouge_l": "ROUGE-L",
    "support_size": "support",
    "zero_share": "zeros",
    "aer": "AER",
    "seconds_per_epoch": "s/epoch",
    "seconds_per_update": "s/update",
}

#: Digits after the decimal point, for measures that do not have 2.
DIGITS = {"aer": 3, "segment_exact": 3, "segment_mass": 3, "seconds_per_update": 4, "loss": 3}


@dataclass(frozen=True)
class Cell:
    """A measure over the runs of a row.

    Attributes:
        mean: mean over the runs.
        deviation: sample standard deviation over the runs; None for a single run.
        p: p value of the difference from the baseline; None if it was not tested.
    """

    mean: float
    deviation: float | None = None
    p: float | None = None


@dataclass
class Row:
    """Runs with the same labels in the table."""

    labels: tuple[str, ...]
    runs: list[Run]
    cells: dict[str, Cell] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """A table of comparable runs: same task, same test set, same score signatures.

    Attributes:
        about: task, corpus and split, in words.
        keys: configuration keys whose values are the labels of the rows.
        measures: names of the columns.
        rows: the rows, in the order of the runs.
        notes: sentences that explain the table.
        level: significance level; smaller p values are marked.
    """

    about: str
    keys: tuple[str, ...]
    measures: tuple[str, ...]
    rows: list[Row]
    notes: list[str]
    level: float


def heading(measure: str) -> str:
    """Return the heading of a column."""
    return HEADINGS.get(measure, measure.replace("_", " "))


def number(measure: str, value: float) -> str:
    """Format a value with the digits of its measure."""
    if measure == "zero_share":
        return f"{100 * value:.1f} %"
    if isinstance(value, int) or measure == "parameters":
        return f"{value:,.0f}"
    return f"{value:.{DIGITS.get(measure, 2)}f}"


def text(measure: str, cell: Cell | None, level: float) -> str:
    """Format a cell: mean ± deviation, with a dagger if the difference is significant."""
    if cell is None:
        return ""
    shown = number(measure, cell.mean)
    if cell.deviation:
        unit = " %" if shown.endswith(" %") else ""
        deviation = number(measure, cell.deviation).removesuffix(unit)
        shown = f"{shown.removesuffix(unit)} ± {deviation}{unit}"
    return shown + ("†" if cell.p is not None and cell.p < level else "")
