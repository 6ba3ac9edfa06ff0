"""A figure of a comparison: how good each row is, and at how many words it looks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from seq2seq.evaluation.comparison_table import Comparison, Row, heading

SPARSITY = "support_size"
_SIDE = 4.5  # in inches, of the figure of one table


def check_plot(tables: Sequence[Comparison]) -> None:
    """Check that the tables have what the figure shows.

    Raises:
        ValueError: naming the missing column.
    """
    for table in tables:
        if SPARSITY not in table.measures or _score(table) is None:
            raise ValueError(
                f"the figure shows a score and {SPARSITY}, and the columns are "
                f"{', '.join(table.measures)}; name both: columns=[bleu,{SPARSITY}]"
            )


def quality_against_sparsity(tables: Sequence[Comparison]) -> Figure:
    """Draw the first score of each table against the mean size of the support, a point per row.

    The lines through a point are one standard deviation to each side; a single run has none.

    Args:
        tables: tables with a score and the column ``support_size`` (:func:`check_plot`).

    Returns:
        A ``matplotlib.figure.Figure`` with an Agg canvas and one plot per table.
    """
    figure = Figure(figsize=(_SIDE * 1.3 * len(tables), _SIDE), layout="constrained")
    FigureCanvasAgg(figure)
    for place, table in enumerate(tables, start=1):
        axes = figure.add_subplot(1, len(tables), place)
        score = _score(table)
        assert score is not None
        for row in table.rows:
            _draw(axes, row, score)
        axes.set_title(table.about, fontsize="small", wrap=True, parse_math=False)
        axes.set_xlabel("support: mean number of words that a word looks at")
        axes.set_ylabel(heading(score), parse_math=False)
        axes.margins(0.15)
    return figure


def write_plot(tables: Sequence[Comparison], path: Path, kind: str) -> None:
    """Write the figure to a file, as ``png`` or ``svg``."""
    # Without a date and with these names inside, the same tables give the same file.
    metadata = {"Date": None} if kind == "svg" else None
    with rc_context({"svg.hashsalt": "seq2seq"}):
        quality_against_sparsity(tables).savefig(path, format=kind, dpi=150, metadata=metadata)


def _score(table: Comparison) -> str | None:
    """Return the first column that is a score."""
    scores = {name for row in table.rows for run in row.runs for name in run.scores}
    return next((name for name in table.measures if name in scores), None)


def _draw(axes: Axes, row: Row, score: str) -> None:
    across, up = row.cells.get(SPARSITY), row.cells.get(score)
    if across is None or up is None:
        return
    axes.errorbar(
        across.mean, up.mean, xerr=across.deviation, yerr=up.deviation, fmt="o", capsize=2
    )
    label = ", ".join(row.labels)
    axes.annotate(
        label,
        (across.mean, up.mean),
        xytext=(5, 5),
        textcoords="offset points",
        fontsize="small",
        parse_math=False,
    )
