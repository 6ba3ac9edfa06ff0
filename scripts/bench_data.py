"""Prepare a generated corpus of any size, train on it, and measure memory and start-up.

    python scripts/bench_data.py --pairs 5000000

Generates the pairs as two text files (the same for the same number), then runs `seq2seq-train` on
them twice, each time in a process of its own: first everything is made, then it is in the cache.

Memory is that of all processes of the command together, twice a second, from Linux's
/proc/PID/smaps_rollup; a page that several processes share counts once (it is proportional: PSS).
- anonymous: what the processes allocated; it must stay, so this is what a machine needs.
- file-backed: pages of mapped files (texts and ids of the cache, but shared libraries too) that are
  in memory now; the system takes them back whenever it needs memory.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

import numpy as np

BLOCK = 10_000
WORDS = 50_000
SYLLABLES = [c + v for c in "b d f g h k l m n p r s t v z".split() for v in "a e i o u".split()]
MIB = 1 << 20


def vocabulary(seed: int) -> np.ndarray:
    """Made-up words, the frequent ones short."""
    draw = np.random.default_rng(seed)
    words: dict[str, None] = {}
    while len(words) < WORDS:
        syllables = draw.integers(0, len(SYLLABLES), 1 + int(len(words) ** 0.15))
        words["".join(SYLLABLES[k] for k in syllables)] = None
    return np.array(list(words), dtype=object)


def blocks(pairs: int) -> Iterator[tuple[list[str], list[str]]]:
    """Sentences of about 22 words by Zipf's law; the target has their partners, reordered a bit."""
    source, target = vocabulary(1), vocabulary(2)
    law = 1 / np.arange(2.7, WORDS + 2.7)
    steps = np.cumsum(law / law.sum())
    for number, first in enumerate(range(0, pairs, BLOCK)):
        draw = np.random.default_rng([7, number])
        lengths = np.clip(draw.poisson(22, min(BLOCK, pairs - first)), 3, 60)
        bounds = np.cumsum([0, *lengths])
        ids = np.minimum(np.searchsorted(steps, draw.random(bounds[-1])), WORDS - 1)
        order = np.argsort(np.arange(len(ids)) + draw.normal(0, 1, len(ids)), kind="stable")
        slices = list(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True))
        words, partners = source[ids], target[ids[order]]
        yield (
            [" ".join(words[a:b]) for a, b in slices],
            [" ".join(partners[a:b]) for a, b in slices],
        )


def generate(pairs: int, folder: Path, name: str) -> None:
    """Write `name.source` and `name.target`, unless they are there."""
    paths = [folder / f"{name}.{side}" for side in ("source", "target")]
    if all(path.exists() for path in paths):
        return
    parts = [path.with_name(f"{path.name}.part") for path in paths]
    with parts[0].open("w") as source, parts[1].open("w") as target:
        for left, right in blocks(pairs):
            source.write("\n".join(left) + "\n")
            target.write("\n".join(right) + "\n")
    for part, path in zip(parts, paths, strict=True):
        part.replace(path)


@dataclass
class Peak:
    """The most memory of a tree of processes, in bytes."""

    anonymous: int = 0
    mapped: int = 0
    total: int = 0
    seconds: float = 0.0
    marks: dict[str, float] = field(default_factory=dict)

    def watch(self, process: subprocess.Popen[str]) -> None:
        while process.poll() is None:
            anonymous, mapped = memory(process.pid)
            self.anonymous = max(self.anonymous, anonymous)
            self.mapped = max(self.mapped, mapped)
            self.total = max(self.total, anonymous + mapped)
            time.sleep(0.5)


def memory(pid: int) -> tuple[int, int]:
    """Anonymous and file-backed bytes of a process and those it started, now."""
    anonymous = mapped = 0
    for one in tree(pid):
        try:
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()[1:]
        except (FileNotFoundError, ProcessLookupError):
            continue
        sizes = {line.split(":")[0]: int(line.split()[1]) << 10 for line in lines}
        anonymous += sizes.get("Pss_Anon", 0) + sizes.get("Pss_Shmem", 0)
        mapped += sizes.get("Pss_File", 0)
    return anonymous, mapped


def tree(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        threads = [p for p in Path(f"/proc/{pid}/task").iterdir() if p.name != str(pid)]
        for thread in threads:
            children += (thread / "children").read_text().split()
    except FileNotFoundError:
        return [pid]
    return [pid, *(x for child in children for x in tree(int(child)))]


def train(folder: Path, steps: int, overrides: list[str]) -> Peak:
    """One `seq2seq-train`, measured."""
    command = [
        *(sys.executable, "-m", "seq2seq.cli.train", "data=text", f"data.cache={folder}/cache"),
        *(f"data.{s}.{x}={folder}/{s}.{x}" for s in ("train", "validation") for x in SIDES),
        *(f"trainer.max_steps={steps}", f"validation.every_n_steps={steps}"),
        *("schedule=constant", "test.split=null", f"hydra.run.dir={folder}/run", *overrides),
    ]
    shutil.rmtree(folder / "run", ignore_errors=True)
    peak, start = Peak(), time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    )
    watcher = Thread(target=peak.watch, args=(process,))
    watcher.start()
    assert process.stdout is not None
    output = []
    for line in process.stdout:
        output.append(line)
        for mark, sign in MARKS.items():
            if sign in line:
                peak.marks.setdefault(mark, time.perf_counter() - start)
    watcher.join()
    peak.seconds = time.perf_counter() - start
    if process.wait():
        sys.exit("".join(output))
    return peak


def first_batch(folder: Path) -> float:
    """Seconds from the start of Python to the first batch of the cached corpus."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", FIRST_BATCH, str(folder)], check=True)
    return time.perf_counter() - start


FIRST_BATCH = """
import sys
from seq2seq.data import prepare
from seq2seq.data.corpora.text import Text
folder = sys.argv[1]
files = {side: f"{folder}/train.{side}" for side in ("source", "target")}
corpus = Text(files, cache_folder=f"{folder}/cache")
next(iter(prepare(corpus, cache=f"{folder}/cache").train_loader()))
"""
SIDES = ("source", "target")
MARKS = {"data and model ready": " parameters; run folder", "last step": "step "}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=5_000_000)
    parser.add_argument("--steps", type=int, default=10, help="updates of each run")
    parser.add_argument("--folder", type=Path, help="keep files here (default: a temporary folder)")
    parser.add_argument("overrides", nargs="*", help="of seq2seq-train, such as data.processes=4")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        start = time.perf_counter()
        generate(options.pairs, folder, "train")
        generate(100, folder, "validation")
        size = sum((folder / f"train.{side}").stat().st_size for side in SIDES)
        seconds = time.perf_counter() - start
        print(f"{options.pairs:,} pairs, {size / MIB:,.0f} MiB, generated in {seconds:.0f} s")
        print("peak MiB:          anonymous  file-backed  together   seconds")
        for title in ("first run", "second run"):
            peak = train(folder, options.steps, options.overrides)
            figures = [peak.anonymous / MIB, peak.mapped / MIB, peak.total / MIB]
            print(f"{title:17}", *(f"{x:10,.0f}" for x in figures), f"{peak.seconds:12.1f}", end="")
            print("  ", ", ".join(f"{mark} after {at:.1f}" for mark, at in peak.marks.items()))
        print(
            f"first batch of the cached corpus after {first_batch(folder):.1f} s, imports included"
        )


if __name__ == "__main__":
    main()
