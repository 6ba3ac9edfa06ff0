"""The cost of a training step with one attention mapping beside another, on the same batches.

    python scripts/bench_attention.py
    python scripts/bench_attention.py --data multi30k --root DIR --models recurrent

The loops of `training_loops.py` train our model, once for each mapping, from the same weights. They
take turns of a batch, in an order that rotates. A ratio is the median over the turns of the seconds
with a mapping by those with the first mapping on the same batch. In the Transformer the mapping is
that of cross-attention; self-attention keeps softmax.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial

import torch
from hydra.utils import instantiate
from rich.console import Console
from rich.table import Table
from training_loops import (
    Loop,
    arguments,
    configuration,
    first_batches,
    our_loss,
    prepared,
)

from seq2seq.data.parallel import ParallelData
from seq2seq.nn.losses import SequenceLoss

# What a step with fusedmax may cost, in steps with softmax.
BARS = {"feeding": 1.03, "recurrent": 1.03, "transformer": 1.05}


@dataclass(frozen=True)
class Result:
    """Seconds of every turn with one mapping."""

    model: str
    attention: str
    seconds: list[float]
    ratio: float
    against: str

    @property
    def verdict(self) -> str:
        if (self.attention, self.against) != ("fusedmax", "softmax"):
            return ""
        bar = BARS[self.model]
        return f"≤ {bar}: {'met' if self.ratio <= bar else 'not met'}"


def compare(model: str, data: ParallelData, args: argparse.Namespace) -> list[Result]:
    """One model with every mapping, taking turns."""
    loops = [loop(model, attention, data, args) for attention in args.attention]
    for other in loops[1:]:
        other.model.load_state_dict(loops[0].model.state_dict())
    config = configuration(model, args.attention[0], args)
    batches = first_batches(data, config, args.steps * (args.turns + 1))
    seconds: list[list[float]] = [[] for _ in loops]
    for number in range(args.turns + 1):
        turn = batches[number * args.steps :][: args.steps]
        for i in range(len(loops)):
            mine = (number + i) % len(loops)
            seconds[mine].append(loops[mine].turn(turn))
    seconds = [values[1:] for values in seconds]  # the first turn warms up
    return [
        Result(model, attention, values, _ratio(values, seconds[0]), args.attention[0])
        for attention, values in zip(args.attention, seconds, strict=True)
    ]


def loop(model: str, attention: str, data: ParallelData, args: argparse.Namespace) -> Loop:
    config = configuration(model, attention, args)
    torch.manual_seed(config.seed)
    sizes = {
        "source_vocabulary_size": data.subwords.source.size,
        "target_vocabulary_size": data.subwords.target.size,
    }
    built = instantiate(config.model, **sizes, _convert_="all")
    loss = partial(our_loss, built, SequenceLoss(**config.loss))
    return Loop(built, loss, config.optimizer.lr, args.precision == "bf16")


def _ratio(seconds: Sequence[float], first: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(seconds, first, strict=True))


def table(results: Sequence[Result], caption: str) -> Table:
    shown = Table("model", "attention", "ms a turn", "÷ the first", "bar", caption=caption)
    for result in results:
        milliseconds = f"{statistics.median(result.seconds) * 1e3:,.1f}"
        shown.add_row(
            *(result.model, result.attention, milliseconds),
            *(f"{result.ratio:.3f}", result.verdict),
        )
    return shown


def main() -> None:
    args = arguments(__doc__ or "", attention="softmax,fusedmax", steps=1, turns=30)
    data = prepared(args)
    before = os.getloadavg()[0]
    found = (compare(model, data, args) for model in args.models)
    results = list(itertools.chain.from_iterable(found))
    caption = (
        f"{args.data}, batches of {args.batch_tokens:,}, {args.steps} a turn, {args.turns} turns, "
        f"precision {args.precision}, {args.threads} threads, torch {torch.__version__}; "
        f"load of the machine {before:.1f} before, {os.getloadavg()[0]:.1f} after"
    )
    Console().print(table(results, caption))
    if args.json:
        rows = [{**asdict(result), "verdict": result.verdict} for result in results]
        args.json.write_text(json.dumps({"caption": caption, "results": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
