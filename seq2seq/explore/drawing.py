"""Draw the page's heat maps and plots with matplotlib, for papers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from datasets import Dataset
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from seq2seq.checkpoint import Checkpoint
from seq2seq.data.corpora.corpus import references
from seq2seq.evaluation.alignment import Link, parse_pharaoh
from seq2seq.evaluation.evaluation import AttentionMap
from seq2seq.evaluation.figures import attention_heat_map
from seq2seq.explore.exploration import Exploration
from seq2seq.search import Search
from seq2seq.system.atomic_writing import replacing_output

FORMATS = ("pdf", "svg", "png")
#: Embed fonts as TrueType in PDF, and as outlines in SVG.
SAVING: Any = {"pdf.fonttype": 42, "svg.fonttype": "path"}
COLORS = ("#0067a5", "#c4500a", "#00795c", "#a1478f", "#6b5d00", "#555555")
MARKERS = "oDs^PX"


def write_heat_maps(
    checkpoints: Sequence[Checkpoint],
    texts: Dataset,
    numbers: Sequence[int],
    search: Search,
    folder: Path,
    kind: str,
    **options: Any,
) -> Iterator[Path]:
    """Write a figure for each sentence, model and activity, as ``attention.3.a.reading.pdf``.

    Args:
        checkpoints: the models, ``a``, ``b``, … in the names.
        texts: a split.
        numbers: numbers of sentences in it, from 1.
        search: search algorithm.
        folder: destination.
        kind: format, one of `FORMATS`.
        options: arguments of ``Task.look``.

    Raises:
        ValueError: if there is no such sentence.
    """
    for number in numbers:
        if not 1 <= number <= len(texts):
            raise ValueError(
                f"draw: there is no sentence {number}; choose from 1 to {len(texts):,}"
            )
    rows = texts.select([number - 1 for number in numbers])
    known = references(rows)[0]
    aligned = rows["alignment"] if "alignment" in rows.column_names else [""] * len(rows)
    for position, checkpoint in enumerate(checkpoints):
        outcomes = checkpoint.task.look(
            checkpoint.model,
            checkpoint.subwords,
            list(rows["source"]),
            known,
            search=search,
            **options,
        )
        for number, outcome, links, reference in zip(
            numbers, outcomes, aligned, known, strict=True
        ):
            for doing, look in outcome.looks.items():
                same = doing == "reading" or outcome.text == reference
                gold = _piece_links(look, parse_pharaoh(links).possible if same else ())
                source = _shown(look.source, look.source_words)
                target = _shown(look.target, look.target_words)
                figure = attention_heat_map(look.weights, source, target, gold=gold, runs=True)
                name = f"attention.{number}.{letter(position)}.{doing}.{kind}"
                yield _save(figure, folder / name)


def write_corpus_plots(exploration: Exploration, folder: Path, kind: str) -> Iterator[Path]:
    """Write plots of support size, fused runs, and score against sparsity.

    They are of the models' first activity, which is writing for tasks that write text.
    """
    doing = next(iter(exploration.examples[0].answers[0].looks))
    for name, draw in PLOTS.items():
        figure = Figure(figsize=(4.2, 3.0), layout="constrained")
        FigureCanvasAgg(figure)
        panel = figure.subplots()
        panel.spines[["top", "right"]].set_visible(False)
        for number, model in enumerate(exploration.models):
            label = f"{letter(number)}  {model.name}"
            draw(panel, exploration, number, doing, {"color": COLORS[number % 6], "label": label})
        if len(exploration.models) > 1:
            panel.legend(frameon=False, fontsize=8)
        yield _save(figure, folder / f"{name}.{kind}")


def letter(number: int) -> str:
    """Return the letter of a model in file names: ``a``, ``b``, and so on."""
    return chr(ord("a") + number) if number < 26 else str(number + 1)


def _support(panel: Axes, shown: Exploration, number: int, doing: str, style: Any) -> None:
    looks = [example.answers[number].looks[doing] for example in shown.examples]
    points = [(len(look["source"]), look["support"]) for look in looks]
    _dots(panel, number, points, style)
    lengths = sorted({length for length, _ in points})
    means = [fmean(support for at, support in points if at == length) for length in lengths]
    panel.plot(lengths, means, color=style["color"], linewidth=1.2)
    panel.set(xlabel="source length (pieces)", ylabel="mean support size")
    panel.set_ylim(bottom=0)


def _runs(panel: Axes, shown: Exploration, number: int, doing: str, style: Any) -> None:
    counts = shown.models[number].runs.get(doing, {})
    width = 0.8 / len(shown.models)
    places = [length + (number - (len(shown.models) - 1) / 2) * width for length in counts]
    shares = [100 * count / sum(counts.values()) for count in counts.values()]
    panel.bar(places, shares, width=width, **style)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.set(xlabel="length of fused runs (pieces)", ylabel="share of runs (%)")


def _scores(panel: Axes, shown: Exploration, number: int, doing: str, style: Any) -> None:
    answers = [example.answers[number] for example in shown.examples]
    points = [(100 * a.looks[doing]["zeros"], a.score) for a in answers if a.score is not None]
    _dots(panel, number, points, style)
    panel.set(xlabel="weights that are exactly 0 (%)", ylabel=f"{shown.score} of the sentence")


PLOTS: dict[str, Callable[[Axes, Exploration, int, str, Any], None]] = {
    "support": _support,
    "runs": _runs,
    "scores": _scores,
}


def _dots(panel: Axes, number: int, points: Sequence[tuple[float, float]], style: Any) -> None:
    x, y = [point[0] for point in points], [point[1] for point in points]
    panel.scatter(x, y, marker=MARKERS[number % 6], s=10, alpha=0.5, linewidths=0, **style)


def _piece_links(look: AttentionMap, gold: Any) -> list[Link]:
    """Turn gold links between words into links between all their pieces."""
    links = set(gold)
    return [
        (s, t)
        for s, i in enumerate(look.source_words)
        for t, j in enumerate(look.target_words)
        if (i, j) in links
    ]


def _shown(pieces: Sequence[str], words: Sequence[int]) -> list[str]:
    """Return the pieces as the page shows them: after a hyphen if they continue a word."""
    before = [-1, *words]
    return [
        ("-" if word == last >= 0 else "") + (piece.removeprefix("▁") or "␣")
        for piece, word, last in zip(pieces, words, before, strict=False)
    ]


def _save(figure: Figure, path: Path) -> Path:
    with rc_context(SAVING), replacing_output(path) as draft:
        figure.savefig(draft, format=path.suffix[1:], dpi=200, bbox_inches="tight")
    return path
