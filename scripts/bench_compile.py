#!/usr/bin/env python
"""What `compile=default` brings: `python scripts/bench_compile.py`.

For each model, two copies of the same weights train in one process on the same batches: the model
as it is written, and as `torch.compile` makes it. They take turns of a few batches, so that both
meet the same load. Told are the seconds of the first step (compilation among them), the graphs
compiled by then and afterwards, and tokens a second from the second turn on.

    python scripts/bench_compile.py --data multi30k --root DIR data.target_language=de
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import time
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table
from torch._dynamo.utils import counters

from seq2seq.cli.application import config_folder
from seq2seq.data.batch import Batch
from seq2seq.nn.losses import SequenceLoss

MODELS = {
    "transformer": ["model=transformer"],
    "recurrent": ["model=recurrent", "model.input_feeding=false"],
    "feeding": ["model=recurrent", "model.input_feeding=true"],
}


class Racer:
    """A model in a plain training loop."""

    def __init__(self, model: Any, called: Any, config: DictConfig, task: Any) -> None:
        self.model, self.called, self.task = model.train(), called, task
        self.loss = SequenceLoss(**config.loss)
        self.optimizer = torch.optim.Adam(model.parameters(), config.optimizer.lr)
        self.losses: list[float] = []

    def turn(self, batches: list[Batch]) -> float:
        """Train on the batches; the seconds that it took."""
        torch.manual_seed(len(self.losses))
        started = time.perf_counter()
        for batch in batches:
            found = self.task.loss(self.called, batch, self.loss)
            loss = found.loss_sum / found.tokens
            self.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.losses.append(float(loss.detach()))
        return time.perf_counter() - started


def configuration(name: str, attention: str, args: argparse.Namespace) -> DictConfig:
    overrides = [f"data={args.data}", *MODELS[name], f"attention={attention}", "compile=default"]
    if args.batch_tokens:
        overrides.append(f"data.batch.tokens={args.batch_tokens}")
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose("train", [*overrides, *args.overrides])
    if args.root:
        config.data.root = args.root
    return config


def batches_of(config: DictConfig, number: int) -> tuple[Any, dict[str, int], list[Batch]]:
    """Return the task, the sizes of the vocabularies, and the batches of a run."""
    task = instantiate(config.task, _convert_="all")
    given: Any = OmegaConf.to_container(config.data, resolve=True)
    settings = {key: given[key] for key in ("subwords", "filters", "limits", "cache")}
    data = task.prepare(instantiate(config.data.corpus), **settings)
    loader = data.train_loader(seed=config.seed, **given["batch"])
    epochs = (iter(loader) for _ in itertools.count())
    batches = list(itertools.islice(itertools.chain.from_iterable(epochs), number))
    return task, task.model_arguments(data.subwords), batches


def race(name: str, attention: str, args: argparse.Namespace) -> list[str]:
    """Return a row of the table."""
    config = configuration(name, attention, args)
    task, sizes, batches = batches_of(config, args.steps * (args.turns + 1))
    torch.compiler.reset()
    counters.clear()
    racers = []
    for compile in (lambda model: model, instantiate(config.compile, _convert_="all")):
        torch.manual_seed(config.seed)
        model = instantiate(config.model, **sizes, _convert_="all")
        racers.append(Racer(model, compile(model), config, task))
    eager, compiled = racers
    first = eager.turn(batches[:1]), compiled.turn(batches[:1])
    graphs = counters["stats"]["unique_graphs"]
    speeds: list[list[float]] = [[], []]
    for number in range(args.turns + 1):
        turn = batches[number * args.steps :][: args.steps]
        tokens = sum(batch.tokens for batch in turn)
        for speed, racer in zip(speeds, racers, strict=True):
            speed.append(tokens / racer.turn(turn))
    ours = [speed[1:] for speed in speeds]  # the first turn warms up
    ratio = statistics.median(b / a for a, b in zip(*ours, strict=True))
    ended = [statistics.mean(racer.losses[-args.steps :]) for racer in racers]
    return [
        name,
        attention,
        *(f"{statistics.median(speed):,.0f}" for speed in ours),
        f"{ratio:.2f}",
        f"{first[1] - first[0]:.0f}",
        f"{graphs} + {counters['stats']['unique_graphs'] - graphs}",
        f"{len({(b.source.shape, b.target.shape) for b in batches})}",
        " | ".join(f"{loss:.3f}" for loss in ended),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    add = parser.add_argument
    add("--data", default="toy", help="a corpus of configs/data (%(default)s)")
    add("--root", help="folder of the corpus, as data.root")
    add("--models", default=",".join(MODELS), help="some of %(default)s")
    add("--attention", default="softmax", help="mappings of configs/attention (%(default)s)")
    add("--batch-tokens", type=int, help="slots of a batch; else as the corpus has it")
    add("--steps", type=int, default=5, help="batches of a turn (%(default)s)")
    add("--turns", type=int, default=7, help="turns that count (%(default)s)")
    add("--threads", type=int, default=2, help="of PyTorch (%(default)s)")
    add(
        "overrides", nargs="*", help="further overrides of seq2seq-train: compile.mode=max-autotune"
    )
    args = parser.parse_intermixed_args()
    torch.set_num_threads(args.threads)
    before = os.getloadavg()[0]
    shown = Table("model", "attention")
    for column in ("eager", "compiled", "÷ eager", "compiling", "graphs", "shapes", "losses"):
        shown.add_column(column, justify="right")
    pairs = itertools.product(args.models.split(","), args.attention.split(","))
    for name, attention in pairs:
        shown.add_row(*race(name, attention, args))
    shown.caption = (
        "tokens a second; seconds that compiling took; graphs of the first step + later ones; "
        f"different shapes of batches; mean losses of the last turn. {args.data}, "
        f"{args.threads} threads, torch {torch.__version__}; load of the machine {before:.1f} "
        f"before, {os.getloadavg()[0]:.1f} after"
    )
    Console(width=max(110, Console().width)).print(shown)


if __name__ == "__main__":
    main()
