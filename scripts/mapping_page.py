"""What a bench of the mappings found, as a section of docs/mappings.md between two markers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

from mapping_bars import OURS, TORCH
from mapping_race import BOTH

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
Found = Mapping[str, Any]


def replaced(page: str, found: Found) -> str:
    """Return the page with the new section of this benchmark instead of the old one."""
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise SystemExit(f"the page needs {BEGIN} and {END}, once each: they say where to write")
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n\n{section(found)}\n{END}{after}"


def section(found: Found) -> str:
    parts = [*_times(found), *_errors(found), f"{found['caption']}.\n"]
    return "\n".join(parts)


def _times(found: Found) -> Iterator[str]:
    """Time ÷ torch.softmax on the fewest threads, standard normal scores, forward and backward."""
    threads = min(race["threads"] for race in found["races"])
    at = (threads, 1.0, BOTH)
    chosen = [r for r in found["races"] if (r["threads"], r["scale"], r["direction"]) == at]
    if not chosen:
        raise SystemExit("the bench has no scores N(0, 1): the table is of those; give --scales 1")
    shapes = list(dict.fromkeys(race["shape"] for race in chosen))
    cells = {(r["mapping"], r["by"], r["shape"]): r for r in chosen}
    where = f"{threads} thread{'s' * (threads > 1)}" if found["device"] == "cpu" else "GPU"
    yield (
        f"Time of forward and backward ÷ that of `torch.softmax` in the same round, {where}, "
        "scores N(0, 1); rows × length:\n"
    )
    yield _row("mapping", "code", *(shape.replace("x", " × ") for shape in shapes))
    yield _row("---", "---", *("---:" for _ in shapes))
    for mapping, by in dict.fromkeys((race["mapping"], race["by"]) for race in chosen):
        names = (f"**{mapping}**", "ours") if by == OURS else (mapping, by)
        yield _row(*names, *(_short(cells[mapping, by, shape]["ratio"]) for shape in shapes))
    yield ""
    softmax = (cells["softmax", TORCH, shape]["seconds"] for shape in shapes)
    times = ", ".join(f"{median(seconds) * 1e6:,.0f}" for seconds in softmax)
    yield f"`torch.softmax` itself, µs: {times}.\n"


def _errors(found: Found) -> Iterator[str]:
    """Return the largest errors of each mapping against exact solutions, for all scores."""
    rows = found["exactness"]
    if not rows:
        return
    yield "Largest error against exact solutions, scores up to ±10⁴:\n"
    kinds = [(kind, error) for kind in ("float64", "float32") for error in ("weights", "product")]
    names = {"weights": "weights", "product": "J·v"}
    yield _row("mapping", *(f"{names[error]}, {kind}" for kind, error in kinds))
    yield _row("---", *("---:" for _ in kinds))
    for mapping in dict.fromkeys(row["mapping"] for row in rows):
        mine = [row for row in rows if row["mapping"] == mapping]
        largest = (max(row[e] for row in mine if row["dtype"] == kind) for kind, e in kinds)
        yield _row(mapping, *(f"{value:.0e}" for value in largest))
    yield ""


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _short(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio < 10 else f"{ratio:,.0f}"
