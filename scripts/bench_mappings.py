"""The time of every mapping beside torch.softmax, the entmax package and the authors' own code.

    python scripts/bench_mappings.py --output DIR
    python scripts/bench_mappings.py --quick --mappings fusedmax,oscarmax --shapes 64x30,4096x64
    python scripts/bench_mappings.py --device cuda --output DIR
    python scripts/bench_mappings.py --exactness

Contenders take turns (`mapping_race.py`), so that a busy machine is busy for all; ratios are to
torch.softmax in the same round. The first call, which may compile, is reported on its own. Peers
that are not installed are left out, and the caption says which code was measured.

`--exactness` measures errors as well (`mapping_exactness.py`). With `--output`, all that was found
is in `mappings.json`, from which `draw_mappings.py --table` writes that of the documentation.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mapping_exactness
import mapping_tables
import published_mappings
import torch
from mapping_bars import ADASPLASH, ENTMAX, OURS, PUBLISHED, TORCH, bars
from mapping_race import DIRECTIONS, Contender, Result, Setting, race
from plot_races import plot
from rich.console import Console

from seq2seq.mappings import functional

try:
    import entmax
except ImportError:
    entmax = None
try:
    import adasplash
except ImportError:
    adasplash = None

SHAPES = {
    "cpu": "64x30,512x16,4096x32,4096x64,4096x128,1024x512,256x2048",
    "cuda": "4096x64,4096x512,16384x128,65536x64,65536x512",
}
# Name in the bench → name and arguments in seq2seq.mappings.functional.
MAPPINGS: dict[str, tuple[str, dict[str, float]]] = {
    "softmax": ("softmax", {}),
    "sparsemax": ("sparsemax", {}),
    "entmax15": ("entmax", {"alpha": 1.5}),
    "entmax13": ("entmax", {"alpha": 1.3}),
    "sqpnormmax": ("sqpnormmax", {"p": 1.5}),
    "normmax": ("normmax", {"p": 1.5}),
    "fusedmax": ("fusedmax", {"lam": 0.1}),
    "oscarmax": ("oscarmax", {"lam": 0.01}),
}


def ours(names: Sequence[str]) -> Iterator[Contender]:
    for name in names:
        function, arguments = MAPPINGS[name]
        if function in functional.__all__:
            yield Contender(name, OURS, partial(getattr(functional, function), **arguments), name)


def peers(device: str) -> Iterator[Contender]:
    """Return the mappings of other packages that are installed and run on the device."""
    if entmax is not None:
        yield Contender("sparsemax", ENTMAX, entmax.sparsemax, "sparsemax")
        yield Contender("entmax15", ENTMAX, entmax.entmax15, "entmax15")
        for alpha, beside in ((1.5, "entmax15"), (1.3, "entmax13")):
            bisection = partial(entmax.entmax_bisect, alpha=alpha)
            yield Contender(f"entmax_bisect {alpha}", ENTMAX, bisection, beside)
    if adasplash is not None and device == "cuda":
        for alpha, beside in ((2.0, "sparsemax"), (1.5, "entmax15"), (1.3, "entmax13")):
            kernel = partial(adasplash.triton_entmax, alpha=alpha)
            yield Contender(f"triton_entmax {alpha:g}", ADASPLASH, kernel, beside)
    if device == "cpu":
        for name in ("fusedmax", "oscarmax"):
            function = published_mappings.published(name, MAPPINGS[name][1]["lam"])
            yield Contender(name, PUBLISHED, function, name)


def races(args: argparse.Namespace, console: Console) -> list[Result]:
    """All contenders at every setting, beside torch.softmax."""
    softmax = Contender("softmax", TORCH, partial(torch.softmax, dim=-1), "softmax")
    others = [peer for peer in peers(args.device) if peer.beside in args.mappings]
    contenders = [softmax, *ours(args.mappings), *others]
    settings = itertools.product(args.threads, args.scales, args.shapes, DIRECTIONS)
    results = []
    with console.status("racing") as status:
        for threads, scale, shape, direction in settings:
            status.update(f"{shape}, {scale:g}·N(0, 1), {threads} threads, {direction}")
            torch.set_num_threads(threads)
            setting = Setting(
                *(shape, scale, threads, direction), args.device, args.rounds, args.turn
            )
            results += race(contenders, setting)
    return results


def errors(args: argparse.Namespace) -> list[dict[str, Any]]:
    functions = {contender.mapping: contender.function for contender in ours(args.mappings)}
    return mapping_exactness.errors(functions, 2 if args.quick else 25, args.device)


def caption(args: argparse.Namespace, load_before: float) -> str:
    """Describe what was measured, and where."""
    parts = [
        torch.cuda.get_device_name() if args.device == "cuda" else f"{os.cpu_count()} cores",
        f"float32, torch {torch.__version__}",
        f"entmax {version('entmax')}" if entmax is not None else "entmax is not installed",
        f"adasplash {version('adasplash')}" if adasplash is not None else "",
        f"published: {published_mappings.SOURCE}" if args.device == "cpu" else "",
        f"{args.rounds} rounds",
        f"load of the machine {load_before:.1f} before, {os.getloadavg()[0]:.1f} after",
    ]
    return "; ".join(part for part in parts if part)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    add = parser.add_argument
    add("--shapes", type=_words, help="rows x length: 64x30,4096x128")
    add("--mappings", type=_words, default=list(MAPPINGS), help=f"some of {','.join(MAPPINGS)}")
    add("--threads", type=lambda s: [*map(int, _words(s))], help="numbers of them (1,2; cuda: 1)")
    add("--scales", type=lambda s: [*map(float, _words(s))], help="of the scores (1,3,0.1)")
    add("--rounds", type=int, help="turns of every contender (9)")
    add("--turn", type=float, default=0.005, help="seconds of a turn, about (%(default)s)")
    add("--output", type=Path, help="folder for mappings.json and mappings.png")
    add("--quick", action="store_true", help="three rounds, one thread, standard normal scores")
    add("--device", choices=tuple(SHAPES), default="cpu", help="(%(default)s)")
    add("--exactness", action="store_true", help="largest errors too")
    args = parser.parse_args()
    if unknown := set(args.mappings) - set(MAPPINGS):
        parser.error(f"--mappings: {', '.join(unknown)} is none of {', '.join(MAPPINGS)}")
    one_thread = args.quick or args.device == "cuda"
    args.shapes = args.shapes or _words(SHAPES[args.device])
    args.threads = args.threads or ([1] if one_thread else [1, 2])
    args.scales = args.scales or ([1.0] if args.quick else [1.0, 3.0, 0.1])
    args.rounds = args.rounds or (3 if args.quick else 9)
    return args


def _words(given: str) -> list[str]:
    return given.split(",")


def main() -> None:
    args, console, before = arguments(), Console(), os.getloadavg()[0]
    results = races(args, console)
    found = bars([asdict(result) for result in results], args.device)
    exactness = errors(args) if args.exactness else []
    described = caption(args, before)
    for table in mapping_tables.times(results):
        console.print(table)
    console.print(mapping_tables.first_calls(results))
    if exactness:
        console.print(mapping_tables.errors(exactness))
    console.print(mapping_tables.bars(found), described)
    if args.output:
        args.output.mkdir(parents=True, exist_ok=True)
        written = {
            "caption": described,
            "device": args.device,
            "races": [asdict(result) for result in results],
            "bars": [{**asdict(bar), "verdict": bar.verdict} for bar in found],
            "exactness": exactness,
        }
        text = json.dumps(written, indent=1, ensure_ascii=False)
        (args.output / "mappings.json").write_text(text + "\n", encoding="utf-8")
        plot(results, described, args.output / "mappings.png")


if __name__ == "__main__":
    main()
