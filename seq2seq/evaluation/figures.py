"""Figures: attention heat maps (target down, source across, exact zeros white), confusion."""

import logging
import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font, get_font_names
from matplotlib.patches import Rectangle
from torch import Tensor

logger = logging.getLogger(__name__)

_FONTS = (
    "DejaVu Sans",  # always installed, because matplotlib includes it
    "Noto Sans",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans CJK KR",
    "WenQuanYi Zen Hei",
    "PingFang SC",
    "Hiragino Sans",
    "Apple SD Gothic Neo",
    "Microsoft YaHei",
    "Malgun Gothic",
    "Noto Sans Arabic",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "Arial Unicode MS",
    "Nirmala UI",
)
_SYMBOLS = ("Last Resort", "LastResort", ".LastResort")  # fonts that draw every character as a box
_MISSING = "□"
_JOINERS = "\u200c\u200d"  # invisible: they say which forms the letters beside them have
_CELL = 0.30  # in inches
_LABEL_SIZE = 9.0  # in points, for cells of full size
_TURN = math.radians(60)  # of the labels above
_MAXIMUM_SIDE = 30.0  # in inches; the cells of longer sentences are smaller
_GOLD_COLOR = "#d1495b"
_RUN_COLOR = "#b3560a"
_GRID_COLOR = "#ececec"


def attention_heat_map(
    attention: Tensor,
    source_tokens: Sequence[str],
    target_tokens: Sequence[str],
    *,
    gold: Iterable[tuple[int, int]] = (),
    runs: bool = False,
    title: str | None = None,
    maximum: float = 1.0,
) -> Figure:
    """Draw the attention of one sentence; several layers and heads form a grid.

    Exact zeros are white. The palest color is visibly not white, so zero weights can be
    distinguished from small ones.

    Args:
        attention: [target_length, source_length], or [layer, head, target_length,
            source_length] for a grid with a row per layer and a column per head.
        source_tokens: words or subwords across; any text.
        target_tokens: words or subwords down.
        gold: (source, target) links, drawn as hollow squares.
        runs: whether to outline fused runs: neighbors with exactly equal, non-zero weight.
        title: title above the figure; None: no title.
        maximum: the weight of the darkest color; use the same value in figures to be compared.

    Returns:
        A ``matplotlib.figure.Figure`` with an Agg canvas, outside pyplot's global state.
    """
    weights = attention.detach().double().cpu().numpy()
    if weights.ndim == 2:
        weights = weights[None, None]
    expected = (len(target_tokens), len(source_tokens))
    if weights.ndim != 4 or weights.shape[2:] != expected or 0 in weights.shape:
        raise ValueError(
            f"attention has shape {list(attention.shape)}; expected [target_length, "
            "source_length] or [layer, head, target_length, source_length] with "
            f"{expected[0]} target tokens and {expected[1]} source tokens"
        )
    layers, heads = weights.shape[:2]
    source, target = [_drawable(t) for t in source_tokens], [_drawable(t) for t in target_tokens]
    cell = min(_CELL, _MAXIMUM_SIDE / max(heads * expected[1], layers * expected[0]))
    figure = Figure(figsize=_size(source, target, layers, heads, cell), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(layers, heads, squeeze=False)
    links = list(gold)
    for layer in range(layers):
        for head in range(heads):
            panel = panels[layer, head]
            _draw_panel(panel, weights[layer, head], links, maximum)
            if runs:
                _outline_runs(panel, weights[layer, head])
            _label(panel, source if layer == 0 else [], target if head == 0 else [], cell)
            if layers * heads > 1:
                panel.set_xlabel(f"layer {layer + 1} · head {head + 1}", fontsize=_LABEL_SIZE)
    _draw_scale(figure, panels, maximum)
    if title:
        figure.suptitle(_drawable(title), fontsize=11, parse_math=False, fontfamily=_families())
    return figure


def confusion_heat_map(classes: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Draw a confusion matrix: gold label down, predicted label across.

    Args:
        classes: the entry ``f1`` of ``classification_scores``: the ``predicted`` counts by label.

    Returns:
        A figure like that of ``attention_heat_map``. Colors are shares of a gold label's examples.
    """
    labels = [_drawable(label) for label in classes]
    counts = np.array([[*entry["predicted"].values()] for entry in classes.values()])
    shares = counts / counts.sum(1, keepdims=True).clip(min=1)
    figure = Figure(
        figsize=(1.8 + 0.9 * len(labels), 1.2 + 0.8 * len(labels)), layout="constrained"
    )
    FigureCanvasAgg(figure)
    panel = figure.subplots()
    panel.imshow(np.ma.masked_equal(shares, 0.0), cmap=_colors(), norm=Normalize(0, 1))
    for row, column in np.ndindex(*counts.shape):
        color = "white" if shares[row, column] > 0.6 else "black"
        panel.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", color=color)
    style: dict[str, Any] = {"fontsize": _LABEL_SIZE, "fontfamily": _families()}
    panel.set_xticks(range(len(labels)), labels, rotation=30, ha="left", parse_math=False, **style)
    panel.set_yticks(range(len(labels)), labels, parse_math=False, **style)
    panel.xaxis.tick_top()
    panel.set_xlabel("predicted", fontsize=_LABEL_SIZE)
    panel.set_ylabel("gold", fontsize=_LABEL_SIZE)
    panel.tick_params(length=0)
    return figure


def _draw_panel(
    panel: Axes, weights: np.ndarray, links: Sequence[tuple[int, int]], maximum: float
) -> None:
    rows, columns = weights.shape
    panel.pcolormesh(  # stays vector graphics in a PDF, unlike an image
        np.arange(columns + 1) - 0.5,
        np.arange(rows + 1) - 0.5,
        np.ma.masked_equal(weights, 0.0),
        cmap=_colors(),
        norm=Normalize(0, maximum),
    )
    panel.set_aspect("equal")
    panel.invert_yaxis()
    panel.set_xticks(np.arange(columns + 1) - 0.5, minor=True)
    panel.set_yticks(np.arange(rows + 1) - 0.5, minor=True)
    panel.grid(which="minor", color=_GRID_COLOR, linewidth=0.6)
    panel.tick_params(which="both", length=0)
    panel.spines[:].set_color("#bbbbbb")
    for source, target in links:
        if not (0 <= source < columns and 0 <= target < rows):
            raise ValueError(
                f"gold link {source}-{target} lies outside the {columns} source and {rows} "
                "target tokens; links must be (source, target) over the drawn tokens"
            )
        square = Rectangle((source - 0.4, target - 0.4), 0.8, 0.8, fill=False)
        square.set(edgecolor=_GOLD_COLOR, linewidth=1.4, clip_on=False)
        panel.add_patch(square)


def _outline_runs(panel: Axes, weights: np.ndarray) -> None:
    """Draw a frame around each stretch of two or more equal, non-zero weights."""
    for row, values in enumerate(weights):
        edges = [0, *(np.flatnonzero(np.diff(values)) + 1), len(values)]
        for first, end in pairwise(edges):
            if values[first] > 0 and end - first > 1:
                frame = Rectangle((first - 0.5, row - 0.5), end - first, 1, fill=False)
                frame.set(edgecolor=_RUN_COLOR, linewidth=1.2, clip_on=False, zorder=3)
                panel.add_patch(frame)


def _draw_scale(figure: Figure, panels: np.ndarray, maximum: float) -> None:
    """Draw a color bar whose width and length do not grow with the sentence."""
    width, height = figure.get_size_inches()
    length = min(0.8 * height, 4.0)
    bar = figure.colorbar(
        ScalarMappable(Normalize(0, maximum), _colors()),
        ax=panels,
        fraction=0.15 / width,
        aspect=length / 0.15,
        shrink=length / height,
        pad=0.15 / width,
    )
    bar.set_label("weight\n(white: exactly 0)", fontsize=_LABEL_SIZE)
    bar.ax.tick_params(labelsize=_LABEL_SIZE - 1, length=2)
    bar.outline.set_visible(False)
    if bar.solids is not None:
        bar.solids.set_rasterized(False)


def _label(panel: Axes, source: Sequence[str], target: Sequence[str], cell: float) -> None:
    """Label the source above and the target on the left, without parsing mathematics."""
    size = max(3.0, _LABEL_SIZE * cell / _CELL)
    panel.xaxis.tick_top()
    panel.set_xticks(range(len(source)))
    panel.set_yticks(range(len(target)))
    style: dict[str, Any] = {"fontsize": size, "fontfamily": _families(), "parse_math": False}
    panel.set_xticklabels(
        source, rotation=math.degrees(_TURN), ha="left", rotation_mode="anchor", **style
    )
    panel.set_yticklabels(target, **style)


def _size(
    source: Sequence[str], target: Sequence[str], layers: int, heads: int, cell: float
) -> tuple[float, float]:
    """Return the size in inches of the cells, the longest labels, the color bar and the title."""
    letter = 0.085 * cell / _CELL
    above, beside = [letter * _letters(s) for s in source], [letter * _letters(t) for t in target]
    cells = cell * len(source)
    # Labels lean to the right, so that those of the last columns extend beyond the cells.
    lean = math.cos(_TURN)
    over = max(cell * (column + 0.5) + lean * label for column, label in enumerate(above)) - cells
    width = heads * (cells + 0.2) + max(beside) + max(over, 0.0) + 1.3
    height = layers * (cell * len(target) + 0.35) + max(above) + 0.6
    return max(width, 3.2), max(height, 3.0)


def _letters(text: str) -> float:
    """Return the width of a text in letters; Chinese, Japanese and Korean ones are wider."""
    return sum(1.5 if unicodedata.east_asian_width(c) in "WF" else 1.0 for c in text)


@cache
def _colors() -> Colormap:
    """Return a color map from pale blue, visibly not white, to nearly black."""
    blues = colormaps["Blues"](np.linspace(0.14, 1.0, 256))
    return LinearSegmentedColormap.from_list("attention", blues).with_extremes(bad="white")


@cache
def _families() -> list[str]:
    """Return the fonts in use: the installed ones of ``_FONTS``; ``_is_drawn`` adds others."""
    installed = set(get_font_names())
    return [name for name in _FONTS if name in installed]


@cache
def _covered(family: str) -> frozenset[int]:
    """Return all characters that a font can draw."""
    try:
        return frozenset(get_font(findfont(FontProperties(family=family))).get_charmap())
    except (OSError, RuntimeError, ValueError):  # FreeType refuses some fonts, such as color emoji
        return frozenset()


@cache
def _is_drawn(character: str) -> bool:
    """Return True if an installed font has the character; put that font in use if it is not yet."""
    code = ord(character)
    if any(code in _covered(family) for family in _families()):
        return True
    for family in sorted({*get_font_names()} - {*_families(), *_SYMBOLS}):
        if code in _covered(family):
            _families().append(family)
            return True
    _warn_of_script(unicodedata.name(character, "unnamed").partition(" ")[0].partition("-")[0])
    return False


@cache
def _warn_of_script(script: str) -> None:
    """Warn, once per script, that no font has it; the script is part of its characters' names."""
    logger.warning(
        "no installed font has the %s characters of this text, so figures show them as %s; install "
        "Noto Sans for that script (on Debian: fonts-noto-core, fonts-noto-cjk)",
        *(script, _MISSING),
    )


def _drawable(text: str) -> str:
    """Replace characters that no font has, or that would break the line, by a hollow box."""
    return "".join(
        c if (c.isprintable() or c in _JOINERS) and _is_drawn(c) else _MISSING for c in text
    )
