"""Write validations to TensorBoard: scores, attention statistics, heat maps, examples."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from seq2seq.evaluation.evaluation import AttentionMap, Evaluation
from seq2seq.training.validation import monitored

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FINAL = ".final"
#: What is the same at every validation: sizes of the split, and the mean sum of weights on a source
#: token, which is the ratio of target to source tokens.
_CONSTANT = ("tokens", "sentences", "coverage_mean")


def report(
    writer: SummaryWriter, evaluation: Evaluation, maps: Iterable[AttentionMap], step: int
) -> None:
    """Write an evaluation under ``validation/…``, its summaries under ``validation attention/…``.

    TensorBoard sorts groups by name, so loss and scores come before the summaries.

    Heat maps and texts show the first examples.
    """
    maps = list(maps)
    for name, value in scalars(evaluation.metrics):
        writer.add_scalar(name, value, step)
    for name, figure in figures(evaluation, maps, step):
        writer.add_figure(name, figure, step, close=False)
    for number, example in enumerate(evaluation.examples[: len(maps)], start=1):
        text = "".join(f"- {name}: {text}\n" for name, text in example.items())
        writer.add_text(f"texts/example {number}", text, step)
    writer.flush()


def figures(
    evaluation: Evaluation, maps: Iterable[AttentionMap], step: int
) -> Iterable[tuple[str, Figure]]:
    """Yield name and figure of the task's figures and of the heat maps."""
    # Importing matplotlib is slow, so it happens only when a figure is drawn.
    from seq2seq.evaluation.figures import attention_heat_map

    for name, draw in evaluation.figures.items():
        yield name, draw()
    for number, attention in enumerate(maps, start=1):
        figure = attention_heat_map(
            attention.weights, attention.source, attention.target, title=f"step {step}"
        )
        yield f"attention/example {number}", figure


def report_hyperparameters(
    folder: Path, config: dict[str, Any], metrics: dict[str, Any], step: int
) -> None:
    """Write the run's configuration and its final scores for TensorBoard's HPARAMS page.

    They are in a separate file, which replaces the one from an earlier end of the same run.
    """
    scores = {
        f"final/{name}": monitored(metrics, name)
        for name, entry in metrics.items()
        if isinstance(entry, float) or (isinstance(entry, dict) and "score" in entry)
    }
    for earlier in folder.glob(f"*{_FINAL}"):
        earlier.unlink()
    with SummaryWriter(str(folder), filename_suffix=_FINAL) as writer:
        for summary in hparams(dict(_flat(config)), scores):
            writer.file_writer.add_summary(summary, step)
        for name, score in scores.items():
            writer.add_scalar(name, score, step)


def scalars(metrics: dict[str, Any], split: str = "validation") -> Iterable[tuple[str, float]]:
    """Yield name and value of each score and of each attention statistic of a split."""
    for name, value in _numbers(metrics):
        yield f"{split}/{name}", value
    for name, entry in metrics.items():
        if isinstance(entry, dict) and "score" in entry:
            yield f"{split}/{name}", float(entry["score"])
    summaries = {n: e for n, e in metrics.items() if isinstance(e, dict) and "overall" in e}
    for part, summary in summaries.items():
        for name, value in _numbers(summary["overall"]):
            yield f"{split} {part}/{name}", value
        for entry in summary.get("by_layer_head", []):
            place = " ".join(f"{k} {entry[k] + 1}" for k in ("layer", "head") if k in entry)
            for name, value in _numbers(entry):
                if name not in ("layer", "head"):
                    yield f"{split} {part} by layer and head/{name}/{place}", value


def _numbers(entries: dict[str, Any]) -> Iterable[tuple[str, float]]:
    for name, value in entries.items():
        if isinstance(value, int | float) and name not in _CONSTANT:
            yield name, float(value)


def _flat(node: Any, prefix: str = "") -> Iterable[tuple[str, Any]]:
    if not isinstance(node, dict):
        yield prefix, node if isinstance(node, int | float | bool | str) else str(node)
        return
    for key, value in node.items():
        yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))
