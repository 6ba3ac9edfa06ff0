"""``seq2seq-explore``: a page of sentences, the answers of models, and their attention."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig, ListConfig

from seq2seq.cli.application import run
from seq2seq.cli.corpus import chosen_corpus, corpus_name
from seq2seq.cli.trusting import trust_packages

if TYPE_CHECKING:
    import torch

    from seq2seq.checkpoint import Checkpoint
    from seq2seq.explore.exploration import Exploration
    from seq2seq.explore.live import Live


def explore(config: DictConfig) -> None:
    """Write the page or the figures, and serve the page if ``serve=true``."""
    from hydra.utils import instantiate
    from rich.console import Console

    from seq2seq.checkpoint.device import choose_device
    from seq2seq.explore.collecting import collect
    from seq2seq.explore.drawing import write_corpus_plots, write_heat_maps
    from seq2seq.explore.live import Live

    _check(config)
    device = choose_device(config.device)
    trust_packages(config)
    checkpoints = _checkpoints(config.checkpoint, device)
    corpus = chosen_corpus(config.data, checkpoints[0])
    search = instantiate(config.search, _convert_="all")
    split = config.data.split
    data = checkpoints[0].task.open(
        corpus, checkpoints[0].subwords, cache=config.data.get("cache"), scored=False
    )
    texts = data.split(split, config.sentences)
    with Console(stderr=True).status(f"{len(texts):,} sentences of {split}"):
        exploration = collect(
            checkpoints,
            texts,
            search,
            corpus=corpus_name(corpus),
            split=split,
            languages=(corpus.source_language, corpus.target_language),
            batch_tokens=config.batch_tokens,
            device=device,
        )
    if config.format == "html":
        _show_page(config, exploration, Live(checkpoints, search, device=device))
        return
    folder, numbers = Path(config.output or "explore"), list(config.draw)
    for path in (
        *write_heat_maps(checkpoints, texts, numbers, search, folder, config.format, device=device),
        *write_corpus_plots(exploration, folder, config.format),
    ):
        print(f"written: {path}")


def _check(config: DictConfig) -> None:
    """Check the settings that are used only after the models have run.

    Raises:
        ValueError: naming the keys, or the package to install.
    """
    from seq2seq.explore.building import plotly_script
    from seq2seq.explore.drawing import FORMATS

    if config.format not in ("html", *FORMATS):
        raise ValueError(f"format={config.format}: choose html, {', '.join(FORMATS)}")
    if config.serve and config.format != "html":
        raise ValueError(
            f"serve=true needs the page, but format={config.format} writes none; set format=html"
        )
    if config.format == "html":
        plotly_script()


def _checkpoints(given: str | ListConfig, device: torch.device) -> list[Checkpoint]:
    from seq2seq.checkpoint import load_checkpoint

    paths = list(given) if isinstance(given, ListConfig) else [given]
    if not paths:
        raise ValueError("checkpoint=[] names no checkpoint; give one or more")
    return [load_checkpoint(path, device) for path in paths]


def _show_page(config: DictConfig, exploration: Exploration, live: Live) -> None:
    """Write the page, and serve it with ``live`` if ``serve=true``."""
    from seq2seq.explore.building import build_page
    from seq2seq.explore.server import MAX_CHARACTERS, serve
    from seq2seq.system.atomic_writing import replacing_output

    path = Path(config.output or "explore.html")
    with replacing_output(path) as draft:
        draft.write_text(build_page(exploration), encoding="utf-8")
    print(f"written: {path} ({path.stat().st_size / 1e6:.1f} MB)")
    if config.serve:
        page = build_page(exploration, live={"max_characters": MAX_CHARACTERS})
        serve(page, live, config.port)


def main() -> None:
    """Entry point of ``seq2seq-explore``."""
    run(explore, "explore")


if __name__ == "__main__":
    main()
