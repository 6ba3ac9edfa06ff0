"""``seq2seq-evaluate``: score a checkpoint on a split of a corpus."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from seq2seq.cli.application import run

if TYPE_CHECKING:
    from seq2seq.checkpoint import Checkpoint


def evaluate_checkpoint(config: DictConfig) -> None:
    """Evaluate, print one table, write ``metrics.json`` and the hypotheses."""
    from hydra.utils import instantiate
    from rich.console import Console
    from rich.progress import track

    from seq2seq.checkpoint import checkpoint_task, load_checkpoints
    from seq2seq.cli.device import choose_device
    from seq2seq.evaluation.figures import attention_heat_map
    from seq2seq.evaluation.report import metrics_table, write_metrics, write_outputs

    device = choose_device(config.device)
    checkpoint = load_checkpoints(config.checkpoint, device)
    if not isinstance(config.checkpoint, str) and len(config.checkpoint) > 1 and not config.output:
        raise ValueError("output: an ensemble has no folder of its own; give one, output=FOLDER")
    given: Any = OmegaConf.to_container(config.data, resolve=True)
    if "corpus" in given:
        corpus = instantiate(config.data.corpus)
    else:
        corpus = own_corpus(checkpoint, {k: v for k, v in given.items() if k != "split"})
    changes: Any = OmegaConf.to_container(config.task, resolve=True)
    task = checkpoint_task(checkpoint.config, changes)
    data = task.open(corpus, checkpoint.subwords, cache=given.get("cache"))

    def progress(batches: Iterable[Any]) -> Iterable[Any]:
        console = Console(stderr=True)
        return track(
            batches, "evaluating", console=console, transient=True, disable=not console.is_terminal
        )

    split = config.data.split
    search = (
        {"search": OmegaConf.to_container(config.search, resolve=True)} if task.searches else {}
    )
    evaluation = task.evaluate(
        checkpoint.model,
        data,
        split,
        search=instantiate(config.search) if task.searches else None,
        sentences=config.sentences,
        batch_tokens=config.batch_tokens,
        attention=config.statistics,
        device=device,
        progress=progress,
    )
    output = Path(config.output) if config.output else checkpoint.folder
    output.mkdir(parents=True, exist_ok=True)
    # A part of a split must not pass for the whole.
    name = split if config.sentences is None else f"{split}-first-{config.sentences}"
    write_metrics(output / "metrics.json", {name: {**evaluation.metrics, **search}})
    written = [output / "metrics.json", *write_outputs(output, name, evaluation.outputs)]
    Console().print(metrics_table(evaluation.metrics, title=f"{checkpoint.folder} on {name}"))
    print(f"\nwritten: {', '.join(map(str, written))}")
    if config.heat_maps > 0:
        maps = task.attention_maps(checkpoint.model, data, split, config.heat_maps, device)
        for number, attention in enumerate(maps, start=1):
            path = output / f"attention.{split}.{number}.png"
            figure = attention_heat_map(attention.weights, attention.source, attention.target)
            figure.savefig(path, dpi=150, bbox_inches="tight")
            print(f"written: {path}")


def own_corpus(checkpoint: Checkpoint, changes: dict[str, Any]) -> Any:
    """The corpus that a checkpoint was trained on, with changes to its arguments.

    A stranger's checkpoint may name local files to read, but neither a place to write nor anything
    to fetch.

    Raises:
        ValueError: if there is none, it would be fetched, or a change names no argument of it.
    """
    corpus = checkpoint.config.get("data", {}).get("corpus")
    if not isinstance(corpus, dict):
        raise ValueError(f"{checkpoint.folder}: its config.yaml has no data.corpus; give data=…")
    unknown = sorted(set(changes) - set(corpus))
    if unknown:
        raise ValueError(f"data.{unknown[0]} is not one of: {', '.join(sorted(set(corpus)))}")
    from seq2seq.checkpoint import build

    built = build({**_without_places(corpus), **changes})
    if place := getattr(built, "fetched", None):
        raise ValueError(
            f"the checkpoint's corpus is fetched from {place!r}; allow it by choosing the corpus "
            f"yourself, such as: data=hub data.path={place} …"
        )
    return built


def _without_places(node: Any) -> Any:
    """The same without the folders to write to, at any depth."""
    if isinstance(node, list):
        return [_without_places(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {key: _without_places(node[key]) for key in node if key != "cache_folder"}


def main() -> None:
    """Entry point of ``seq2seq-evaluate``."""
    run(evaluate_checkpoint, "evaluate")


if __name__ == "__main__":
    main()
