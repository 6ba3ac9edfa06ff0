"""Format comparisons for a terminal, as Markdown, LaTeX (booktabs) and CSV, and as a figure."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from seq2seq.evaluation.comparison_table import Comparison, Row, heading, text
from seq2seq.evaluation.markdown import escaped
from seq2seq.system.atomic_writing import replacing_output

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "|": r"\textbar{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "†": r"$^{\dagger}$",
    "→": r"$\rightarrow$",
    "–": "--",
    "…": r"\dots{}",
    "⌈": r"$\lceil$",
    "⌉": r"$\rceil$",
}


def _header(table: Comparison) -> list[str]:
    return [*table.keys, "runs", *map(heading, table.measures)]


def _cells(table: Comparison, row: Row) -> list[str]:
    values = (text(name, row.cells.get(name), table.level) for name in table.measures)
    return [*row.labels, str(len(row.runs)), *values]


def terminal(table: Comparison) -> Table:
    """Return a table for rich's console, without the notes."""
    shown = Table(title=Text(table.about, "bold"), title_justify="left")
    for number, name in enumerate(_header(table)):
        shown.add_column(Text(name), justify="right" if number >= len(table.keys) else "left")
    for row in table.rows:
        shown.add_row(*map(Text, _cells(table, row)))
    return shown


def markdown(tables: Sequence[Comparison]) -> str:
    """Return the tables as Markdown, each with its title and its notes."""
    parts = []
    for table in tables:
        marks = [
            "---" if number < len(table.keys) else "--:" for number in range(len(_header(table)))
        ]
        rows = [_header(table), marks, *(_cells(table, row) for row in table.rows)]
        lines = [f"| {' | '.join(map(escaped, row))} |" for row in rows]
        notes = escaped(" ".join(table.notes), longest=None)
        parts.append(f"**{escaped(table.about)}**\n\n" + "\n".join(lines) + f"\n\n{notes}\n")
    return "\n".join(parts)


def latex(tables: Sequence[Comparison]) -> str:
    r"""Return a LaTeX ``table`` environment for each table; needs ``\usepackage{booktabs}``."""
    parts = []
    for number, table in enumerate(tables, start=1):
        columns = "l" * len(table.keys) + "r" * (1 + len(table.measures))
        body = [" & ".join(map(escape, _cells(table, row))) + r" \\" for row in table.rows]
        notes = escape(" ".join(table.notes))
        lines = [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escape(table.about)}.}}",
            rf"\label{{tab:comparison-{number}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            " & ".join(map(escape, _header(table))) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            *([rf"\par\smallskip{{\footnotesize {notes}\par}}"] if notes else []),
            r"\end{table}",
        ]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def escape(words: str) -> str:
    """Escape the special characters of LaTeX."""
    return "".join(_LATEX.get(character, character) for character in words)


def comma_separated(tables: Sequence[Comparison]) -> str:
    """Return all rows as CSV, unrounded; columns that a table does not have are empty.

    A measure has three columns: ``bleu`` (mean), ``bleu_deviation`` and ``bleu_p``. ``zero_share``
    is a fraction, not a percentage. The column ``table`` numbers the tables, and ``about``
    describes them.
    """
    keys = dict.fromkeys(key for table in tables for key in table.keys)
    measures = dict.fromkeys(name for table in tables for name in table.measures)
    parts = [f"{name}{part}" for name in measures for part in ("", "_deviation", "_p")]
    file = io.StringIO()
    writer = csv.DictWriter(file, ["table", "about", *keys, "runs", *parts], lineterminator="\n")
    writer.writeheader()
    for number, table in enumerate(tables, start=1):
        for row in table.rows:
            line: dict[str, object] = {"table": number, "about": table.about}
            line |= {"runs": len(row.runs), **dict(zip(table.keys, row.labels, strict=True))}
            for name, cell in row.cells.items():
                line |= {name: cell.mean, f"{name}_deviation": cell.deviation, f"{name}_p": cell.p}
            writer.writerow(line)
    return file.getvalue()


FORMATS: Mapping[str, Callable[[Sequence[Comparison]], str]] = {
    ".md": markdown,
    ".tex": latex,
    ".csv": comma_separated,
}
"""For each suffix of a file, the function that formats the tables."""

FIGURES = {".png": "png", ".svg": "svg"}
"""For each suffix of a figure, its format."""


def check_outputs(paths: Sequence[Path]) -> None:
    """Raise `ValueError` for files whose suffix is not in ``FORMATS`` or ``FIGURES``.

    Raises:
        ValueError: the message lists the suffixes.
    """
    for path in paths:
        if path.suffix not in {**FORMATS, **FIGURES}:
            raise ValueError(
                f"output={path}: the suffix chooses the format; it must be one of "
                f"{', '.join([*FORMATS, *FIGURES])}"
            )


def write_comparison(path: Path, tables: Sequence[Comparison]) -> None:
    """Write all tables to one file, in the format of its suffix.

    Raises:
        ValueError: if a figure lacks a column; the message names it.
    """
    if path.suffix in FIGURES:
        from seq2seq.evaluation.comparison_plot import check_plot, write_plot  # imports matplotlib

        check_plot(tables)
        with replacing_output(path) as draft:
            write_plot(tables, draft, FIGURES[path.suffix])
        return
    with replacing_output(path) as draft:
        draft.write_text(FORMATS[path.suffix](tables), encoding="utf-8")
