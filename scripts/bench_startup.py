#!/usr/bin/env python
"""How long the commands take to start, as real commands: `python scripts/bench_startup.py`.

    seq2seq-train       from the command to the end of its first training step, on a cached corpus
    seq2seq-translate   one line, from the command to its end
    seq2seq-evaluate    a few sentences, from the command to its end
    seq2seq-train --help, and a misspelt override

Each is a process of its own, the page cache warm, and they take turns with `import torch`, whose
time is the unit: a ratio compares across machines, and on a busy one. CPU seconds, of the process
and its children, are steadier than the clock's. `--imports` lists what costs most.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter

from rich.console import Console
from rich.table import Table

SMALL = ["validation.sentences=1", "validation.heat_maps=0", "test.split=null", "seed=1"]
UNIT = "import torch"
FIRST_STEP = re.compile(r"step 1/")  # the line of the log, with trainer.log_every_n_steps=1


@dataclass
class Command:
    """A command, what it reads, and the line that ends the time; None: when the process ends."""

    arguments: Sequence[str]
    given: str = ""
    until: re.Pattern[str] | None = None
    fails: bool = False
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def time(self, folder: Path) -> None:
        before, started = os.times(), perf_counter()
        process = subprocess.Popen(
            [sys.executable, *self.arguments],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(self.given)
        process.stdin.close()
        seconds, cpu, told = None, None, []
        for line in process.stderr:
            told.append(line)
            if seconds is None and self.until is not None and self.until.search(line):
                seconds, cpu = perf_counter() - started, cpu_seconds(process.pid)
        failed = process.wait() != 0
        if failed != self.fails or (self.until is not None and seconds is None):
            raise SystemExit(f"{' '.join(self.arguments)}\n{''.join(told)}")
        after = os.times()
        self.seconds.append(perf_counter() - started if seconds is None else seconds)
        whole = sum(after[2:4]) - sum(before[2:4])  # of processes that have ended
        self.cpu.append(whole if cpu is None else cpu)


def cpu_seconds(process: int) -> float:
    """Of a process that runs; where the system does not tell, NaN."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return math.nan
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def module(name: str, *arguments: str) -> list[str]:
    return ["-m", f"seq2seq.cli.{name}", *arguments]


def commands(train: Sequence[str]) -> dict[str, Command]:
    steps = [
        "trainer.max_steps=1",
        "trainer.log_every_n_steps=1",
        "hydra.run.dir=again/${now:%H-%M-%S-%f}",
    ]
    evaluation = ["checkpoint=run", "sentences=4", "output=evaluated"]
    return {
        UNIT: Command(["-c", "import torch"]),
        "import torch, an optimizer": Command(["-c", OPTIMIZER]),
        "seq2seq-train, first step": Command(module("train", *train, *steps), until=FIRST_STEP),
        "seq2seq-translate, a line": Command(module("translate", "checkpoint=run"), "a line\n"),
        "seq2seq-evaluate, 4 sentences": Command(module("evaluate", *evaluation)),
        "seq2seq-train --help": Command(module("train", "--help")),
        "seq2seq-train attenshun=x": Command(module("train", "attenshun=x"), fails=True),
    }


# What any training in PyTorch loads: optimizers import torch._dynamo.
OPTIMIZER = "import torch; torch.optim.Adam([torch.ones(1, requires_grad=True)])"


def costly_imports(arguments: Sequence[str], folder: Path, number: int) -> list[tuple[str, float]]:
    """Return the packages whose own modules take the most of `-X importtime`, in seconds."""
    result = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        input="a line\n",
    )
    spent: Counter[str] = Counter()
    for line in result.stderr.splitlines():
        if match := re.match(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\w+)", line):
            spent[match[2]] += int(match[1])
    return [(name, microseconds / 1e6) for name, microseconds in spent.most_common(number)]


def table(timed: dict[str, Command]) -> Table:
    shown = Table("command", caption="medians; ÷ torch: CPU seconds, of those of `import torch`")
    for column in ("seconds", "CPU seconds", "÷ torch"):
        shown.add_column(column, justify="right")
    unit = median(timed[UNIT].cpu)
    for name, command in timed.items():
        cpu = median(command.cpu)
        shown.add_row(name, f"{median(command.seconds):.1f}", f"{cpu:.1f}", f"{cpu / unit:.2f}")
    return shown


def prepare(train: Sequence[str], folder: Path) -> None:
    """Train a run to use, which also puts the corpus into the cache."""
    steps = ["trainer.max_steps=1", "hydra.run.dir=run"]
    Command(module("train", *train, *steps)).time(folder)


def main() -> None:
    show = Console().print
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--turns", type=int, default=5, help="of each command (%(default)s)")
    parser.add_argument("--imports", type=int, default=0, help="list so many costly packages")
    parser.add_argument("--only", default="", help="commands whose names hold one of these: a,b")
    parser.add_argument("overrides", nargs="*", help="of seq2seq-train, such as model=transformer")
    args = parser.parse_intermixed_args()
    train = [*SMALL, *args.overrides]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(train, folder)
        timed = {
            name: command
            for name, command in commands(train).items()
            if name == UNIT or any(part in name for part in args.only.split(","))
        }
        before = os.getloadavg()[0]
        for _ in range(args.turns):
            for command in timed.values():
                command.time(folder)
        show(table(timed))
        show(f"load of the machine {before:.1f} before, {os.getloadavg()[0]:.1f} after")
        for name, command in timed.items() if args.imports else ():
            costs = costly_imports(command.arguments, folder, args.imports)
            show(f"{name}: " + ", ".join(f"{package} {cost:.2f}" for package, cost in costs))


if __name__ == "__main__":
    main()
