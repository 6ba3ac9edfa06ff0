"""A table of runs: its rows and cells, and how they read."""

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

#: After the point, where it is not 2.
DIGITS = {"aer": 3, "segment_exact": 3, "segment_mass": 3, "seconds_per_update": 4, "loss": 3}


@dataclass(frozen=True)
class Cell:
    """A measure over the runs of a row.

    Attributes:
        mean: over the runs.
        deviation: sample standard deviation over them; None of a single run.
        p: that the difference from the baseline is chance; None where it was not tested.
    """

    mean: float
    deviation: float | None = None
    p: float | None = None


@dataclass
class Row:
    """Runs that differ in nothing that the table shows."""

    labels: tuple[str, ...]
    runs: list[Run]
    cells: dict[str, Cell] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """A table of runs that may be compared: of one task, test set and way of scoring.

    Attributes:
        about: task, corpus and split, in words.
        keys: what the labels of the rows are values of.
        measures: names of the columns.
        rows: in the order of the runs.
        notes: what one must know to read it, a sentence each.
        level: p values below it are marked.
    """

    about: str
    keys: tuple[str, ...]
    measures: tuple[str, ...]
    rows: list[Row]
    notes: list[str]
    level: float


def heading(measure: str) -> str:
    """The name of a column."""
    return HEADINGS.get(measure, measure.replace("_", " "))


def number(measure: str, value: float) -> str:
    """A value of a measure, in the digits that its kind is read in."""
    if measure == "zero_share":
        return f"{100 * value:.1f} %"
    if isinstance(value, int) or measure == "parameters":
        return f"{value:,.0f}"
    return f"{value:.{DIGITS.get(measure, 2)}f}"


def text(measure: str, cell: Cell | None, level: float) -> str:
    """A cell: mean ± deviation, and a dagger where the difference is significant."""
    if cell is None:
        return ""
    shown = number(measure, cell.mean)
    if cell.deviation:
        unit = " %" if shown.endswith(" %") else ""
        deviation = number(measure, cell.deviation).removesuffix(unit)
        shown = f"{shown.removesuffix(unit)} ± {deviation}{unit}"
    return shown + ("†" if cell.p is not None and cell.p < level else "")
