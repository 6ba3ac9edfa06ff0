"""Give every reader bad files for a while, and count what becomes of them.

    python scripts/fuzz_readers.py --examples 2000
    python scripts/fuzz_readers.py --only "config.yaml" --examples 1 --start 1234   # one again

A file must be taken, or refused by an error of this package that names it. Anything else (another
library's error, a crash, a hang, memory beyond the limit) is listed with its number, and the exit
code is 1. Needs a system that forks.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from types import FrameType
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).parent))

import torch
from fuzz_targets import TARGETS, Target, verdict, warm

ROUND = 500  # files that a process reads before the next takes its place
KINDS = ("accepted", "refused", "other")


class TooLongError(BaseException):
    """A file took a reader longer than it may."""


def campaign(
    name: str, start: int, examples: int, seconds: int, gibibytes: float
) -> Iterator[tuple[int, str, str]]:
    """Yield number, kind and message of each file; each round runs in its own process."""
    number, end = start, start + examples
    with tempfile.TemporaryDirectory() as place:
        warm(TARGETS[name], Path(place) / "work")  # once, not in every process
    while number < end:
        last = min(number + ROUND, end)
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(reading)
            _read_all(TARGETS[name], range(number, last), writing, seconds, gibibytes)
        os.close(writing)
        with os.fdopen(reading, encoding="utf-8", errors="replace") as pipe:
            for line in pipe:
                found, kind, message = line.rstrip("\n").split("\t", 2)
                yield int(found), kind, message
                number = int(found) + 1
        _, status = os.waitpid(process, 0)
        if number < last:
            yield number, "other", f"the process ended (status {status})"
            number += 1


def _read_all(
    target: Target, numbers: range, writing: int, seconds: int, gibibytes: float
) -> NoReturn:
    """Read the files of some numbers, and tell the pipe of each."""
    limit = int(gibibytes * (1 << 30))
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    signal.signal(signal.SIGPROF, _too_long)
    with tempfile.TemporaryDirectory() as place, os.fdopen(writing, "w", encoding="utf-8") as pipe:
        for number in numbers:
            content = target.spoiled(Random(number))
            signal.setitimer(signal.ITIMER_PROF, seconds)
            try:
                kind, message = verdict(target, content, Path(place) / "work")
            except TooLongError:
                kind, message = "other", f"more than {seconds} s of computation"
            signal.setitimer(signal.ITIMER_PROF, 0)
            message = ascii(message[:400])[1:-1]
            print(f"{number}\t{kind}\t{message}", file=pipe, flush=True)
    os._exit(0)


def _too_long(number: int, frame: FrameType | None) -> None:
    raise TooLongError


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=500, help="files a reader (%(default)s)")
    parser.add_argument("--start", type=int, default=0, help="number of the first (%(default)s)")
    parser.add_argument("--only", choices=TARGETS, help="one reader")
    parser.add_argument("--seconds", type=int, default=30, help="limit a file (%(default)s)")
    parser.add_argument("--memory", type=float, default=8.0, help="limit in GiB (%(default)s)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    names = [options.only] if options.only else list(TARGETS)
    total = Counter[str]()
    print(f"{'reader':24}{'tried':>9}{'accepted':>10}{'refused':>9}{'other':>7}{'seconds':>9}")
    for name in names:
        counts, begun = Counter[str](), time.monotonic()
        rounds = campaign(name, options.start, options.examples, options.seconds, options.memory)
        for number, kind, message in rounds:
            counts[kind] += 1
            if kind == "other":
                print(f"  {name} --start {number}: {message}", flush=True)
        cells = [counts[kind] for kind in KINDS]
        took = time.monotonic() - begun
        print(
            f"{name:24}{sum(cells):9,}{cells[0]:10,}{cells[1]:9,}{cells[2]:7,}{took:9.0f}",
            flush=True,
        )
        total.update(counts)
    cells = [total[kind] for kind in KINDS]
    print(f"{'all':24}{sum(cells):9,}{cells[0]:10,}{cells[1]:9,}{cells[2]:7,}")
    return 1 if total["other"] else 0


if __name__ == "__main__":
    sys.exit(main())
