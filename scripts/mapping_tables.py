"""What a bench of the mappings found, as tables of a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any

from mapping_bars import Bar
from mapping_race import BOTH, FORWARD, Result
from rich.table import Table

STYLE = {"met": "green", "not met": "red", "not measured": "dim"}


def times(results: Sequence[Result]) -> Iterator[Table]:
    """Of each number of threads and scale, µs of forward and of both, and the ratio of both."""
    for threads, scale in dict.fromkeys((r.threads, r.scale) for r in results):
        chosen = [r for r in results if (r.threads, r.scale) == (threads, scale)]
        found = {(r.mapping, r.by, r.shape, r.direction): r for r in chosen}
        shapes = list(dict.fromkeys(r.shape for r in chosen))
        shown = Table("mapping", "by", title=f"scores {scale:g}·N(0, 1), {threads} thread(s)")
        shown.caption = "µs forward/forward+backward (forward+backward ÷ torch.softmax)"
        for shape in shapes:
            shown.add_column(shape, justify="right")
        for names in dict.fromkeys((r.mapping, r.by) for r in chosen):
            pairs = [[found[*names, shape, d] for d in (FORWARD, BOTH)] for shape in shapes]
            shown.add_row(*names, *(_cell(*pair) for pair in pairs))
        yield shown


def _cell(forward: Result, both: Result) -> str:
    return f"{forward.median * 1e6:,.0f}/{both.median * 1e6:,.0f} ({both.ratio:.3g})"


def bars(found: Sequence[Bar]) -> Table:
    """Every limit and whether it is met."""
    shown = Table("mapping", "against", "shape", "scores", "bar", "found", "verdict")
    shown.title = "Bars: forward+backward"
    shown.caption = "≤: times torch.softmax at most; ≥: times faster than a peer at least"
    for bar in found:
        shown.add_row(
            *(bar.mapping, bar.against, bar.shape, f"{bar.scale:g}·N(0, 1)"),
            f"{'≥' if bar.faster else '≤'} {bar.limit:g}",
            "–" if bar.found is None else f"{bar.found:.3g}",
            f"[{STYLE[bar.verdict]}]{bar.verdict}[/]",
        )
    return shown


def first_calls(results: Sequence[Result]) -> Table:
    """Return the longest first call of each contender, which includes compilation."""
    shown = Table("mapping", "by", "longest first call, ms", "at", title="First calls")
    for key in dict.fromkeys((r.mapping, r.by) for r in results):
        mine = (r for r in results if (r.mapping, r.by) == key)
        longest = max(mine, key=lambda r: r.first_call)
        at = f"{longest.shape}, {longest.direction}"
        shown.add_row(*key, f"{longest.first_call * 1e3:,.1f}", at)
    return shown


def errors(found: Sequence[dict[str, Any]]) -> Table:
    """Return the largest errors of each mapping and type, and the scores where they occur."""
    shown = Table("mapping", "type", "weights", "at", "J·v", "at", "rows", "at a kink")
    shown.title = "Largest errors against exact solutions"
    for key in dict.fromkeys((row["mapping"], row["dtype"]) for row in found):
        mine = [row for row in found if (row["mapping"], row["dtype"]) == key]
        cells = []
        for error in ("weights", "product"):
            worst = max(mine, key=itemgetter(error))
            cells += [f"{worst[error]:.1e}", worst["scores"]]
        shown.add_row(*key, *cells, *(str(sum(row[n] for row in mine)) for n in ("rows", "kinks")))
    return shown
