"""Training speed and memory beside the plain PyTorch loop of the same model, on the same batches.

    python scripts/bench_training.py
    python scripts/bench_training.py --data multi30k --root DIR --attention softmax,fusedmax

Loops that train models of the same size: a plain loop with a model of `torch.nn`
(`plain_models.py`), the bound; the same loop with our model; our run as `seq2seq-train` starts it,
with logging, callbacks, schedule and the state saved at its usual interval; the same run in bf16
(`run bf16`), where the CPU has it; and the plain loop with models of others where they are
installed: JoeyNMT's (`pip install joeynmt`) and, of Transformers, Marian (`pip install
transformers`). Each is a process of its own. They take turns of a few batches, so that a busy
machine is busy for all of them.

- Speed: source and target tokens a second without padding, the median over the turns. A ratio is
  the median over the turns of a loop's speed by that of the plain loop in the same turn.
- Memory: the most that the process has in memory while it trains (Linux's VmHWM), and what of
  it came since it stood ready, with data and model loaded.
- Filled: the share of the slots of these batches that hold a token.
- Validation: seconds of one with search, loss and attention statistics, every hypothesis as long as
  its source: of a model of so few updates, lengths say nothing.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from training_contenders import BF16, Entry, Finished, Ready, contend, peers
from training_loops import arguments, prepared

LOOPS = ("plain", "ours", "run")
# What our run has to reach of the speed of the plain loop, where there is a bar.
BARS = {("feeding", "32"): 1.0, ("transformer", "32"): 1.0}
BARS |= {("feeding", "bf16"): 1.35, ("transformer", "bf16"): 1.35}
# What our run in bf16 has to reach of its speed in float32, where the CPU has bf16.
BF16_BARS = {"transformer": 1.15, "recurrent": 1.0, "feeding": 1.0}
FILLED, VALIDATION = 0.95, 15.0  # at least so much, at most so many seconds


@dataclass(frozen=True)
class Result:
    """One race: of every loop, tokens a second in every turn and bytes of memory."""

    model: str
    attention: str
    parameters: int
    filled: float
    tokens_per_second: dict[str, list[float]]
    ready_bytes: dict[str, int]
    peak_bytes: dict[str, int]
    measured: dict[str, float]

    def speed(self, loop: str) -> float:
        return statistics.median(self.tokens_per_second[loop])

    def ratio(self, loop: str, against: str = "plain") -> float:
        mine, other = self.tokens_per_second[loop], self.tokens_per_second[against]
        return statistics.median(a / b for a, b in zip(mine, other, strict=True))

    def grown(self, loop: str) -> int:
        return self.peak_bytes[loop] - self.ready_bytes[loop]

    def bars(self, precision: str) -> dict[str, tuple[float, float, bool]]:
        """Return the requirements of our run: the figure, the bar, and whether it is met."""
        found = {}
        bar = BARS.get((self.model, precision))
        if bar and (precision == "32" or has_bf16()):
            found["speed ÷ plain"] = (self.ratio("run"), bar, self.ratio("run") >= bar)
        if BF16 in self.tokens_per_second:
            ratio, bar = self.ratio(BF16, "run"), BF16_BARS[self.model]
            found["speed of bf16 ÷ float32"] = (ratio, bar, ratio >= bar)
        memory = self.grown("run") / self.grown("plain")
        found["memory of training ÷ plain"] = (memory, 1.0, memory <= 1.0)
        found["filled"] = (self.filled, FILLED, self.filled >= FILLED)
        if seconds := self.measured.get("seconds_of_a_validation"):
            found["seconds of a validation"] = (seconds, VALIDATION, seconds <= VALIDATION)
        return found


def race(model: str, attention: str, args: argparse.Namespace) -> Result:
    """Start all and let them take turns, in an order that rotates."""
    both = args.precision == "32" and has_bf16()
    names = [*LOOPS, *([BF16] if both else []), *peers(model)]
    context = multiprocessing.get_context("forkserver")
    channels: dict[str, Connection] = {}
    for name in names:
        channels[name], theirs = context.Pipe()
        entry = Entry(name, model, attention, args)
        context.Process(target=contend, args=(theirs, entry), daemon=True).start()
        theirs.close()
    try:
        ready: dict[str, Ready] = {name: channels[name].recv() for name in names}
        if len({ready[name].parameters for name in LOOPS}) > 1:
            counts = {name: ready[name].parameters for name in LOOPS}
            raise SystemExit(f"{model}: plain and our parameters differ in number: {counts}")
        seconds: dict[str, list[float]] = {name: [] for name in names}
        for turn in range(args.turns + 1):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                channels[name].send("your turn")
                seconds[name].append(channels[name].recv())
        finished: dict[str, Finished] = {}
        for name in names:  # one by one too: our run validates at its end
            channels[name].send("the end")
            finished[name] = channels[name].recv()
    except EOFError:
        raise SystemExit(f"{model}: a loop ended early; what it said is above") from None
    one = ready["run"]
    save = one.saves_a_step * args.steps * finished["run"].measured["seconds_of_a_save"]
    for name in {"run", BF16} & seconds.keys():
        seconds[name] = [value + save for value in seconds[name]]
    tokens = [sum(one.tokens[first:][: args.steps]) for first in turns(one.tokens, args.steps)]
    return Result(
        model,
        attention,
        one.parameters,
        one.filled,
        # The first turn warms up.
        {n: [t / s for t, s in zip(tokens, seconds[n], strict=True)][1:] for n in names},
        {name: ready[name].memory for name in names},
        {name: finished[name].peak for name in names},
        finished["run"].measured,
    )


def turns(batches: Sequence[int], steps: int) -> range:
    """Return the first batch of each turn."""
    return range(0, len(batches), steps)


def table(results: Sequence[Result], caption: str) -> Table:
    shown = Table("model", "attention", "loop", caption=caption)
    for column in ("tokens/s", "÷ plain", "peak MiB", "of training"):
        shown.add_column(column, justify="right")
    for result in results:
        for loop in result.tokens_per_second:
            shown.add_row(
                *(result.model, result.attention, loop),
                *(f"{result.speed(loop):,.0f}", f"{result.ratio(loop):.2f}"),
                *(f"{result.peak_bytes[loop] >> 20:,}", f"{result.grown(loop) >> 20:,}"),
            )
    return shown


def has_bf16() -> bool:
    """Whether the CPU has instructions for bf16; without, the option is slow, or fails in LSTMs."""
    cpu: Any = torch.cpu
    return cpu._is_amx_tile_supported() or cpu._is_avx512_bf16_supported()


def main() -> None:
    args = arguments(__doc__ or "")
    # The processes are forked from one that has imported all of it, and done nothing else.
    os.environ["PYTHONPATH"] = os.pathsep.join(map(str, sys.path))
    multiprocessing.set_forkserver_preload(["training_contenders"])
    prepared(args)  # once, for the cache that all read
    before = os.getloadavg()[0]
    pairs = itertools.product(args.models, args.attention)
    results = [race(model, attention, args) for model, attention in pairs]
    bf16 = "this CPU has bf16" if has_bf16() else "this CPU has no bf16, so its bar does not count"
    caption = (
        f"{args.data}, batches of {args.batch_tokens:,}, precision {args.precision} "
        f"({bf16}), {args.threads} threads, torch {torch.__version__}; "
        f"load of the machine {before:.1f} before, {os.getloadavg()[0]:.1f} after"
    )
    console = Console(width=max(100, Console().width))
    console.print(table(results, caption))
    for result in results:
        for name, (found, bar, met) in result.bars(args.precision).items():
            verdict = "met" if met else "NOT MET"
            console.print(f"{result.model}, {name}: {found:.2f}, bar {bar}: {verdict}")
    if args.json:
        rows = [
            {
                **asdict(result),
                "ratio": {loop: result.ratio(loop) for loop in result.tokens_per_second},
                "bars": result.bars(args.precision),
            }
            for result in results
        ]
        args.json.write_text(json.dumps({"caption": caption, "races": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
