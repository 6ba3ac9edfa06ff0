"""The pictures of docs/mappings.md, and its table of what a bench measured.

    python scripts/draw_mappings.py
    python scripts/draw_mappings.py --table DIR/mappings.json

The table comes from the output of `bench_mappings.py --exactness` and replaces the one on the page.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable, Sequence
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any

import mapping_page
import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from seq2seq.mappings import functional

DOCUMENTS = Path(__file__).parents[1] / "docs"
WORDS = "after the long storm , two small red boats were still there".split()
SCORES = [0.05, 0.25, 1.12, 1.42, -1.3, 0.73, 1.05, 1.1, 1.3, -0.2, -0.75, 0.5]
SHOWN: dict[str, dict[str, float]] = {
    "softmax": {},
    "entmax": {"alpha": 1.5},
    "sqpnormmax": {"p": 1.5},
    "normmax": {"p": 2.0},
    "sparsemax": {},
    "fusedmax": {"lam": 0.15},
    "oscarmax": {"lam": 0.05},
}
SYMBOLS = {"alpha": "α", "p": "p", "lam": "λ", "gamma": "γ"}
INK, QUIET, PLAIN = "#2b2d33", "#a3a8b3", "#9fb3c8"
GROUPS = ("#d1495b", "#00798c", "#edae49", "#6a4c93")
LINES = "#777777 #8c564b #e08e0b #d1495b #777777 #2a9d4a #6a4c93 #00798c #1f4e8c #a05195".split()
STYLE: Any = {
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": QUIET,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "xtick.color": INK,
    "ytick.color": INK,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
}


def mapping(name: str, **arguments: float) -> Callable[[Tensor], Tensor]:
    function = getattr(functional, name)
    return lambda x: function(x, **arguments)


def available() -> dict[str, dict[str, float]]:
    return {name: given for name, given in SHOWN.items() if name in functional.__all__}


def label(name: str, arguments: dict[str, float]) -> str:
    given = ", ".join(f"{SYMBOLS[key]} = {value:g}" for key, value in arguments.items())
    return f"{name}  {given}".rstrip()


def draw_words() -> Figure:
    """Draw the scores of twelve words, and below them the weights of each mapping."""
    shown = available()
    heights = [1.35, *[1.0] * len(shown)]
    figure = Figure(figsize=(8.2, 1.0 + 0.8 * sum(heights)), layout="constrained")
    axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    x = torch.tensor(SCORES, dtype=torch.float64)
    weights = {name: mapping(name, **given)(x).tolist() for name, given in shown.items()}
    highest = max(map(max, weights.values()))
    axes[0].bar(range(len(x)), SCORES, width=0.72, color=INK)
    for i, score in enumerate(SCORES):
        side, gap = ("bottom", 0.03) if score > 0 else ("top", -0.1)
        number = f"{score:.2f}".replace("-", "−")
        axes[0].text(i, score + gap, number, ha="center", va=side, fontsize=7)
    axes[0].axhline(0, color=QUIET, lw=0.8)
    axes[0].set(title="scores", ylim=(min(SCORES) - 0.6, max(SCORES) + 0.4))
    axes[0].spines["bottom"].set_visible(False)
    for axis, (name, given) in zip(axes[1:], shown.items(), strict=True):
        _bars(axis, weights[name], neighbors=name == "fusedmax")
        axis.set(ylim=(0, highest * 1.3), title=label(name, given))
    for axis in axes:
        axis.tick_params(axis="x", length=0)
        axis.set_yticks(())
        axis.spines["left"].set_visible(False)
    axes[-1].set_xticks(range(len(WORDS)), WORDS, fontsize=10)
    axes[-1].set_xlim(-0.6, len(WORDS) - 0.4)
    return figure


def _bars(axis: Any, weights: Sequence[float], neighbors: bool) -> None:
    """Bars of weights with their numbers; equal weights have one color, neighbors one body."""
    colors = iter(cycle(GROUPS))
    color_of = {
        value: next(colors)
        for value in dict.fromkeys(weights)
        if value > 0 and weights.count(value) > 1
    }
    for i, value in enumerate(weights):
        if value > 0:
            axis.bar(i, value, width=0.72, color=color_of.get(value, PLAIN))
            axis.text(i, value, f"{value:.2f}"[1:], ha="center", va="bottom", fontsize=7)
    if neighbors:
        for i, (left, right) in enumerate(pairwise(weights)):
            if left == right > 0:
                axis.bar(i + 0.5, left, width=0.3, color=color_of[left])


def draw_curves() -> Figure:
    """Draw the weight of the first of two words against the difference of their scores."""
    figure = Figure(figsize=(8.2, 2.9), layout="constrained")
    axes = figure.subplots(1, 3, sharey=True)
    t = torch.linspace(-3, 3, 961, dtype=torch.float64)
    x = torch.stack([t, torch.zeros_like(t)], -1)
    curves: list[tuple[str, list[tuple[str, dict[str, float]]]]] = [
        ("γ = 1", [item for item in available().items() if "lam" not in item[1]]),
        ("γ of sparsemax", [("sparsemax", {"gamma": gamma}) for gamma in (0.5, 1.0, 2.0)]),
        ("λ of fusedmax", [("fusedmax", {"lam": lam}) for lam in (0.0, 0.25, 0.5)]),
    ]
    palette = (INK, "#00798c", "#edae49", "#6a4c93", "#d1495b")
    for axis, (title, lines) in zip(axes, curves, strict=True):
        chosen = palette if len(lines) > 3 else (INK, "#00798c", "#d1495b")
        for color, (name, given) in zip(chosen, lines, strict=False):
            short = " ".join([name, *(f"{value:g}" for value in given.values())])
            shown = short if axis is axes[0] else label("", given).strip()
            axis.plot(t, mapping(name, **given)(x)[:, 0], color=color, label=shown, lw=1.8)
        axis.set(title=title, xlabel="score t of one word; the other has 0", xlim=(-3, 3))
        axis.grid(color="#ececf0", lw=0.7)
        axis.set_axisbelow(True)
        axis.legend(loc="lower right", handlelength=0.8, handletextpad=0.4, borderaxespad=0.1)
    axes[0].set(ylabel="weight of the word", ylim=(-0.03, 1.03), yticks=(0, 0.5, 1))
    return figure


def draw_paths() -> Figure:
    """Weights of the twelve words as λ grows: lines that run side by side are equal weights."""
    figure = Figure(figsize=(8.2, 3.8), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    x = torch.tensor(SCORES, dtype=torch.float64)
    for axis, name, largest in zip(axes, ("fusedmax", "oscarmax"), (0.68, 0.155), strict=True):
        grid = np.linspace(0, largest, 801)
        paths = torch.stack([mapping(name, lam=float(lam))(x) for lam in grid]).numpy()
        _paths(axis, grid, paths, neighbors=name == "fusedmax")
        axis.set(title=name, xlabel="λ", xlim=(0, largest))
        axis.spines["left"].set_visible(False)
        axis.grid(axis="y", color="#ececf0", lw=0.7)
        axis.set_axisbelow(True)
        axis.tick_params(axis="y", length=0, labelleft=False, labelright=axis is axes[1])
    axes[0].set_ylim(-0.012, 0.45)
    axes[1].set_ylabel("weight", rotation=-90, labelpad=14)
    axes[1].yaxis.set_label_position("right")
    return figure


def _paths(axis: Any, grid: Any, paths: Any, neighbors: bool) -> None:
    """Draw a line for each word with a positive weight, with its name at the beginning."""
    beside = np.stack([_beside(weights.tolist(), neighbors) for weights in paths])
    for i in np.flatnonzero(paths.max(0) > 0):
        color = LINES[i % len(LINES)]
        positive = np.where(paths[:, i] > 0, paths[:, i] + 0.0042 * beside[:, i], np.nan)
        axis.plot(grid, positive, color=color, lw=2, solid_capstyle="round")
        first = int(np.flatnonzero(paths[:, i] > 0)[0])
        offset, side = ((-4, 0), "right") if first == 0 else ((-3, 6), "right")
        axis.annotate(
            WORDS[i],
            (grid[first], paths[first, i]),
            offset,
            textcoords="offset points",
            ha=side,
            va="center",
            color=color,
            fontweight="bold",
            annotation_clip=False,
        )


def _beside(weights: list[float], neighbors: bool) -> Any:
    """How many widths each line is moved, so that those of a run or group lie side by side."""
    runs = np.cumsum([a != b for a, b in pairwise([0.0, *weights])]) if neighbors else weights
    moved = np.zeros(len(weights))
    for key in set(runs):
        equal = np.flatnonzero(np.equal(runs, key))
        moved[equal] = (len(equal) - 1) / 2 - np.arange(len(equal))
    return moved


PICTURES = {
    "mappings-words.png": draw_words,
    "mappings-curves.png": draw_curves,
    "mappings-lambda.png": draw_paths,
}


def save(figure: Figure, path: Path) -> None:
    """As a small file: few colors are a picture of lines and bars enough."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110, facecolor="white")
    Image.open(buffer).convert("RGB").quantize(96).save(path, optimize=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    add = parser.add_argument
    add("--table", type=Path, metavar="JSON", help="write this bench's table on the page instead")
    add("--documents", type=Path, default=DOCUMENTS, help="folder of the page (%(default)s)")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    if args.table:
        page = args.documents / "mappings.md"
        found = json.loads(args.table.read_text(encoding="utf-8"))
        page.write_text(
            mapping_page.replaced(page.read_text(encoding="utf-8"), found), encoding="utf-8"
        )
        return
    args.documents.mkdir(parents=True, exist_ok=True)
    with rc_context(STYLE):
        for name, draw in PICTURES.items():
            save(draw(), args.documents / name)


if __name__ == "__main__":
    main()
