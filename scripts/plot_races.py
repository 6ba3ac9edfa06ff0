"""The picture of a bench of the mappings: a panel each, ours and its peers beside torch.softmax."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mapping_bars import OURS, TORCH
from mapping_race import BOTH, Result
from matplotlib.figure import Figure

COLORS = {OURS: "#d1495b", "entmax": "#00798c", "published": "#8d6a9f"}
STYLES = ("-", "--", ":")


def plot(results: Sequence[Result], caption: str, path: Path) -> None:
    """Ratios of forward+backward at the first number of threads and scale, by shape."""
    threads, scale = results[0].threads, results[0].scale
    at = [r for r in results if (r.threads, r.scale, r.direction) == (threads, scale, BOTH)]
    panels = list(dict.fromkeys(r.beside for r in at if r.by == OURS))
    columns = min(4, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(3.2 * columns + 0.6, 2.5 * rows + 0.9), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flatten()
    for axis, panel in zip(axes, panels, strict=False):
        _panel(axis, [r for r in at if r.beside == panel and r.by != TORCH], panel)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    figure.supylabel("time ÷ torch.softmax")
    figure.suptitle(
        f"forward+backward, {threads} thread(s), scores {scale:g}·N(0, 1)\n{caption}", fontsize=8
    )
    figure.savefig(path, dpi=110, facecolor="white")


def _panel(axis: Any, results: Sequence[Result], title: str) -> None:
    shapes = list(dict.fromkeys(r.shape for r in results))
    for i, (by, mapping) in enumerate(dict.fromkeys((r.by, r.mapping) for r in results)):
        ratios = [r.ratio for r in results if (r.by, r.mapping) == (by, mapping)]
        label = by if mapping == title else f"{by} {mapping}"
        color, style = COLORS[by], STYLES[i % 3]
        axis.plot(range(len(shapes)), ratios, style, marker="o", ms=3, color=color, label=label)
    axis.axhline(1, color="#555", lw=0.8)
    axis.set(yscale="log", title=title)
    axis.set_xticks(range(len(shapes)), shapes, rotation=60, fontsize=7)
    axis.grid(axis="y", color="#e5e5e5", lw=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(fontsize=6, frameon=False)
