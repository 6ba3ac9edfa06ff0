"""Training losses of a large vocabulary beside PyTorch's cross-entropy, forward and backward.

    python scripts/bench_losses.py
    python scripts/bench_losses.py --shapes 512x32000 --threads 1 --smoothing 0.1 --output FILE

The contenders take turns on the same logits, which change every round, so that a busy machine is
busy for all of them. A ratio is the median over the rounds of the seconds of a contender by those
of `torch.nn.functional.cross_entropy` in the same round. The package `entmax` races too where it is
installed, in the first rounds only, and without smoothing, which it does not have.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Tensor

from seq2seq.mappings import (
    Entmax,
    Fusedmax,
    Mapping,
    Normmax,
    Oscarmax,
    Softmax,
    Sparsemax,
    Sqpnormmax,
)

PLAIN = "cross-entropy"
OURS: dict[str, Mapping] = {
    "softmax": Softmax(),
    "sparsemax": Sparsemax(),
    "entmax 1.5": Entmax(alpha=1.5),
    "entmax 1.3": Entmax(alpha=1.3),
    "fusedmax": Fusedmax(lam=0.1),
    "oscarmax": Oscarmax(lam=1e-4),
    "normmax": Normmax(),
    "sqpnormmax": Sqpnormmax(),
}
# The most that a sparse output layer may cost, in cross-entropies, at this vocabulary.
BARS = {"sparsemax": 1.5, "entmax 1.5": 1.5, "entmax 1.3": 1.5}
BAR_VOCABULARY = 32_000
INPUTS = 3  # sets of logits that rounds choose from, so that none is in the cache

Loss = Callable[[Tensor, Tensor], Tensor]


def normal(deviation: float, rows: int, vocabulary: int, target: Tensor) -> Tensor:
    return deviation * torch.randn(rows, vocabulary)


def trained(rows: int, vocabulary: int, target: Tensor) -> Tensor:
    """As after training: the true class stands out."""
    logits = torch.randn(rows, vocabulary)
    logits[torch.arange(rows), target] += 8
    return logits


LOGITS: dict[str, Callable[[int, int, Tensor], Tensor]] = {
    "N(0,1)": partial(normal, 1.0),
    "N(0,3)": partial(normal, 3.0),
    "trained": trained,
}


@dataclass(frozen=True)
class Result:
    """The seconds of one contender in all its rounds, and their ratio to cross-entropy's."""

    rows: int
    vocabulary: int
    logits: str
    threads: int
    contender: str
    seconds: list[float]
    ratio: float


@dataclass(frozen=True)
class Bar:
    """Whether a contender keeps its bar on some logits."""

    contender: str
    vocabulary: int
    logits: str
    threads: int
    ratio: float
    bar: float
    met: bool


def contenders(smoothing: float, peers: bool) -> dict[str, Loss]:
    """Losses, mean over rows, by name; those of peers say so."""
    losses: dict[str, Loss] = {PLAIN: partial(F.cross_entropy, label_smoothing=smoothing)}
    for name, mapping in OURS.items():
        losses[name] = partial(mapping.loss, label_smoothing=smoothing, reduction="mean")
    if peers and not smoothing and importlib.util.find_spec("entmax"):
        import entmax

        losses["entmax: sparsemax"] = entmax.SparsemaxLoss()
        losses["entmax: 1.5"] = entmax.Entmax15Loss()
        losses["entmax: bisection 1.3"] = entmax.EntmaxBisectLoss(alpha=1.3)
    return losses


def seconds_of(loss: Loss, logits: Tensor, target: Tensor) -> float:
    """Of forward and backward."""
    leaf = logits.detach().requires_grad_()
    started = time.perf_counter()
    loss(leaf, target).backward()
    return time.perf_counter() - started


def race(
    rows: int, vocabulary: int, logits: str, threads: int, args: argparse.Namespace
) -> list[Result]:
    """All contenders in turns; the first round warms up and does not count."""
    torch.set_num_threads(threads)
    torch.manual_seed(args.seed)
    inputs = []
    for _ in range(INPUTS):
        target = torch.randint(vocabulary, (rows,))
        inputs.append((LOGITS[logits](rows, vocabulary, target), target))
    losses = contenders(args.smoothing, peers=args.peer_rounds > 0)
    seconds: dict[str, list[float]] = {name: [] for name in losses}
    for number in range(args.rounds + 1):
        for name, loss in losses.items():
            if ":" not in name or number <= args.peer_rounds:
                seconds[name].append(seconds_of(loss, *inputs[number % INPUTS]))
    results = []
    for name, values in seconds.items():
        pairs = zip(values[1:], seconds[PLAIN][1:], strict=False)  # peers race in fewer rounds
        ratio = statistics.median(mine / plain for mine, plain in pairs)
        results.append(Result(rows, vocabulary, logits, threads, name, values[1:], ratio))
    return results


def bars(results: Sequence[Result]) -> list[Bar]:
    """Return the requirements, and whether each is met."""
    return [
        Bar(r.contender, r.vocabulary, r.logits, r.threads, r.ratio, bar, r.ratio <= bar)
        for r in results
        if r.vocabulary == BAR_VOCABULARY and (bar := BARS.get(r.contender)) is not None
    ]


def table(results: Sequence[Result], title: str) -> Table:
    """Return a table with a row per contender: times, or ratios to cross-entropy."""
    shown = Table("loss", title=title)
    for logits in dict.fromkeys(r.logits for r in results):
        shown.add_column(logits, justify="right")
    for name in dict.fromkeys(r.contender for r in results):
        mine = [r for r in results if r.contender == name]
        times = [f"{1000 * statistics.median(r.seconds):.1f} ms" for r in mine]
        shown.add_row(name, *(times if name == PLAIN else [f"{r.ratio:.2f}" for r in mine]))
    return shown


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    add = parser.add_argument
    add("--shapes", default="512x8000,512x32000,256x50000", help="rows × vocabulary (%(default)s)")
    add("--logits", default="all", help=f"some of {'; '.join(LOGITS)}, parted by ; (%(default)s)")
    add("--threads", default="1,2", help="of PyTorch (%(default)s)")
    add("--rounds", type=int, default=7, help="that count (%(default)s)")
    add("--peer-rounds", type=int, default=1, help="those of other packages (%(default)s)")
    add("--smoothing", type=float, default=0.0, help="of labels (%(default)s)")
    add("--seed", type=int, default=1, help="draws the logits (%(default)s)")
    add("--output", type=Path, help="file for every figure, JSON")
    args = parser.parse_args()
    args.shapes = [tuple(map(int, shape.split("x"))) for shape in args.shapes.split(",")]
    args.threads = [int(threads) for threads in args.threads.split(",")]
    args.logits = list(LOGITS) if args.logits == "all" else args.logits.split(";")
    if unknown := set(args.logits) - set(LOGITS):
        parser.error(f"--logits: {'; '.join(unknown)} is none of {'; '.join(LOGITS)}")
    return args


def main() -> None:
    args = arguments()
    before = os.getloadavg()[0]
    console, results = Console(), []
    for threads in args.threads:
        for rows, vocabulary in args.shapes:
            races = [race(rows, vocabulary, kind, threads, args) for kind in args.logits]
            found = [result for results_of_one in races for result in results_of_one]
            console.print(table(found, f"{rows} × {vocabulary}, threads: {threads}"))
            results += found
    caption = (
        f"Forward and backward, float32, smoothing {args.smoothing}: cross-entropy's time, and "
        f"what others take of it. torch {torch.__version__}; "
        f"load of the machine {before:.1f} before, {os.getloadavg()[0]:.1f} after"
    )
    console.print(caption)
    for bar in (verdicts := bars(results)):
        verdict = "met" if bar.met else "NOT MET"
        place = f"{bar.vocabulary}, {bar.logits}, {bar.threads} threads"
        console.print(f"{bar.contender} at {place}: {bar.ratio:.2f} ≤ {bar.bar}: {verdict}")
    if args.output:
        figures = {
            "caption": caption,
            "results": [asdict(result) for result in results],
            "bars": [asdict(bar) for bar in verdicts],
        }
        args.output.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
