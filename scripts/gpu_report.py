"""The report of `check_gpu.py`: what each part measured, as Markdown and as JSON.

A part gives rows. A row is a dictionary from column to value, and some columns mean something:

- ``passed``: False if the result is wrong; the part then failed;
- ``traceback``: the exception that kept the row from being measured; the part then failed;
- ``output``: the same of code that is not ours, which does not make the part fail.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

Row = dict[str, Any]
PASSED, FAILED, LATE, WAITING = "passed", "failed", "out of time", "not run yet"
LONG = ("traceback", "output")  # columns that the report shows below the table


@dataclass
class Outcome:
    """What is known of a part.

    Attributes:
        name: the part.
        about: what it does, in one sentence.
        budget: the seconds that it may take, and more if earlier parts left some of theirs.
        seconds: the seconds that it took.
        status: ``passed``, ``failed``, ``out of time`` or ``not run yet``.
        rows: what it measured; see the module.
        log: the end of what it printed, kept if it did not pass.
    """

    name: str
    about: str
    budget: float
    seconds: float = 0.0
    status: str = WAITING
    rows: list[Row] = field(default_factory=list)
    log: str = ""


def is_wrong(row: Row) -> bool:
    """Return True if the row is of a failure."""
    return "traceback" in row or row.get("passed") is False


def write(outcomes: Sequence[Outcome], about: Mapping[str, Any], folder: Path) -> None:
    """Write ``gpu.json`` and ``gpu.md``; a reader never sees a half-written file."""
    folder.mkdir(parents=True, exist_ok=True)
    data = {**about, "parts": [asdict(outcome) for outcome in outcomes]}
    _replace(folder / "gpu.json", json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    _replace(folder / "gpu.md", markdown(outcomes, about))


def markdown(outcomes: Sequence[Outcome], about: Mapping[str, Any]) -> str:
    """Return the report as a page: a summary, then a section for each part."""
    lines = ["# What a GPU shows", ""]
    lines += [f"- {name}: {value}" for name, value in about.items()]
    summary = [
        {
            "part": outcome.name,
            "result": outcome.status,
            "rows": len(outcome.rows),
            "wrong": sum(map(is_wrong, outcome.rows)),
            "seconds": round(outcome.seconds, 1),
            "budget": outcome.budget,
        }
        for outcome in outcomes
    ]
    lines += ["", *_table(summary)]
    for outcome in outcomes:
        lines += ["", f"## {outcome.name}: {outcome.status}", "", outcome.about]
        if outcome.rows:
            lines += ["", *_table(outcome.rows)]
        for row in outcome.rows:
            title = ", ".join(str(v) for k, v in row.items() if k not in (*LONG, "passed"))
            for name in LONG:
                if name in row:
                    lines += ["", f"{title}:", "", *_block(str(row[name]))]
        if outcome.log:
            lines += ["", "The end of what it printed:", "", *_block(outcome.log)]
    return "\n".join(lines) + "\n"


def _table(rows: Sequence[Row]) -> list[str]:
    columns = list(dict.fromkeys(name for row in rows for name in row if name not in LONG))
    lines = [_line(columns), _line(["---"] * len(columns))]
    return lines + [_line([_cell(row.get(name, "")) for name in columns]) for row in rows]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "**no**"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value).replace("|", "\\|").replace("\n", " ")


def _block(text: str) -> list[str]:
    return ["~~~text", text.rstrip().replace("~~~", "~ ~ ~"), "~~~"]


def _replace(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
