"""Decoding speed beside Hugging Face, CTranslate2 and a plain PyTorch loop, on the same batches.

    python scripts/bench_search.py --data multi30k --root DIR --threads 1

Every model is drawn at random, and every system decodes the same source ids, a batch at a time, to
exactly as many tokens (end of sentence counted, so that all take the same number of steps). They
take turns of a batch, in an order that rotates, so that a busy machine is busy for all of them. A
ratio is the median over the batches of the seconds of the peer by ours.

Hugging Face's and CTranslate2's model is a Marian Transformer of our size (`pip install
transformers ctranslate2`; without them their races are left out). The plain loop searches a model
with the weights of our recurrent one (`plain_search.py`).

Ours with attention returned, and ours with a sparse mapping, race against ours without.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import datasets
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from marian_peers import System, ctranslate2, hugging_face, marian
from omegaconf import OmegaConf
from plain_search import beam_search
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from training_loops import MODELS

from seq2seq.cli.application import config_folder
from seq2seq.data.batch import EOS_ID, PAD_ID
from seq2seq.data.parallel import ParallelData, prepare
from seq2seq.search import Beam, Greedy

Sources = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Race:
    """Two systems, and the least that the speed of ours has to be, in speeds of the other."""

    name: str
    peer: str
    ours: str
    bar: float


RACES = [
    Race("transformer beam 5", "HF", "ours", 1.5),
    Race("transformer beam 5", "CTranslate2", "ours", 0.4),
    Race("transformer greedy", "HF", "ours", 1.5),
    Race("transformer greedy", "CTranslate2", "ours", 0.4),
    Race("recurrent beam 5", "plain", "ours", 1.3),
    Race("transformer beam 5", "ours", "with attention", 1 / 1.1),
    Race("recurrent beam 5", "ours", "with attention", 1 / 1.1),
    Race("transformer beam 5", "ours", "sparsemax", 1 / 1.05),
    Race("transformer beam 5", "ours", "fusedmax", 1 / 1.05),
    Race("recurrent beam 5", "ours", "sparsemax", 1 / 1.05),
    Race("recurrent beam 5", "ours", "fusedmax", 1 / 1.05),
]


@dataclass(frozen=True)
class Result:
    """Seconds of every batch, after the first turn."""

    race: Race
    sentences: list[int]
    peer: list[float]
    ours: list[float]

    @property
    def ratio(self) -> float:
        return statistics.median(a / b for a, b in zip(self.peer, self.ours, strict=True))

    def speed(self, seconds: Sequence[float]) -> float:
        """Sentences a second."""
        return statistics.median(n / s for n, s in zip(self.sentences, seconds, strict=True))


def build(kind: str, attention: str, args: argparse.Namespace, size: int) -> nn.Module:
    """Ours, of the size of `training_loops.py`, the same weights whatever the mapping."""
    overrides = [*MODELS[kind][1], f"attention={attention}", *args.overrides]
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose("train", overrides)
    torch.manual_seed(config.seed)
    sizes = {"source_vocabulary_size": size, "target_vocabulary_size": size}
    return instantiate(config.model, **sizes, _convert_="all").eval()


def ours(model: Any, beam: int, args: argparse.Namespace, attention: bool = False) -> System:
    length = args.tokens - 1  # eos is not counted
    limits = {"min_length": length, "max_length": length, "max_length_ratio": 1e3}
    search: Any = Greedy(**limits) if beam == 1 else Beam(beam, **limits)

    def decode(source: Tensor, lengths: Tensor) -> list[int]:
        found = search(model, source, lengths, return_attention=attention)
        return [len(best.tokens) + 1 for best, *_ in found]

    return decode


def systems(args: argparse.Namespace, size: int, folder: Path) -> dict[str, dict[str, System]]:
    """All that race, by name of the race."""
    found: dict[str, dict[str, System]] = {}
    for kind in args.models:
        for name, beam in (("beam 5", 5), ("greedy", 1)):
            mine = build(kind, "softmax", args, size)
            found[f"{kind} {name}"] = {
                "ours": ours(mine, beam, args),
                "with attention": ours(mine, beam, args, attention=True),
                **{
                    mapping: ours(build(kind, mapping, args, size), beam, args)
                    for mapping in ("sparsemax", "fusedmax")
                },
            }
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        if "transformer" in args.models and present("transformers"):
            config = compose("train", [*MODELS["transformer"][1], *args.overrides])
            model = marian(size, config.model)
            for name, beam in (("beam 5", 5), ("greedy", 1)):
                race = found[f"transformer {name}"]
                race["HF"] = hugging_face(model, beam, args.tokens)
                if present("ctranslate2"):
                    race["CTranslate2"] = ctranslate2(
                        model, beam, args.tokens, args.threads, folder
                    )
        if "recurrent" in args.models:
            config = compose("train", [*MODELS["recurrent"][1], *args.overrides])
            sizes = {"source_vocabulary_size": size, "target_vocabulary_size": size}
            plain: Any = MODELS["recurrent"][0](**sizes, model=config.model).eval()
            found["recurrent beam 5"]["plain"] = plain_loop(plain, args)
    return found


def plain_loop(model: Any, args: argparse.Namespace) -> System:
    def decode(source: Tensor, lengths: Tensor) -> list[int]:
        found = beam_search(model, source, lengths, 5, args.tokens)
        return [found.size(1)] * found.size(0)

    return decode


def present(library: str) -> bool:
    return importlib.util.find_spec(library) is not None


def run(
    race: dict[str, System], names: Sequence[str], batches: Sequence[Sources], tokens: int
) -> dict[str, list[float]]:
    """Seconds of each system for each batch."""
    for source, lengths in (batches[-1], batches[0]):  # to warm up
        for name in names:
            if set(race[name](source, lengths)) != {tokens}:
                raise SystemExit(f"{name} does not write exactly {tokens} tokens a sentence")
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number, (source, lengths) in enumerate(batches):
        for place in range(len(names)):
            name = names[(number + place) % len(names)]
            started = time.perf_counter()
            race[name](source, lengths)
            seconds[name].append(time.perf_counter() - started)
    return seconds


def sources(data: ParallelData, args: argparse.Namespace) -> list[Sources]:
    """Return the sentences of the split, sorted by length, in full batches."""
    texts = list(data.split(args.split)["source"])[: args.sentences]
    rows = sorted((data.subwords.source.encode(text) for text in texts), key=len)
    found = []
    for first in range(0, len(rows), args.batch):
        chosen = [torch.tensor([*row, EOS_ID]) for row in rows[first : first + args.batch]]
        padded = nn.utils.rnn.pad_sequence(chosen, batch_first=True, padding_value=PAD_ID)
        found.append((padded, torch.tensor([len(row) for row in chosen])))
    return found


def prepared(args: argparse.Namespace) -> ParallelData:
    datasets.disable_progress_bars()
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose("train", [f"data={args.data}", *args.overrides])
    if args.root:
        config.data.root = args.root
    given: Any = OmegaConf.to_container(config.data, resolve=True)
    settings = {key: given[key] for key in ("subwords", "limits", "cache")}
    return prepare(instantiate(config.data.corpus), **settings)


def table(results: Sequence[Result], caption: str) -> Table:
    columns = ("search", "ours", "/s", "peer", "/s", "ratio", "bar")
    shown = Table(*columns, caption=f"Sentences a second. {caption}")
    for result in results:
        race, verdict = result.race, "" if result.ratio >= result.race.bar else " not met"
        shown.add_row(
            *(race.name, race.ours, f"{result.speed(result.ours):,.0f}"),
            *(race.peer, f"{result.speed(result.peer):,.0f}", f"{result.ratio:.2f}"),
            f"≥ {race.bar:.2f}{verdict}",
        )
    return shown


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    add = parser.add_argument
    add("--data", default="toy", help="a corpus of configs/data (%(default)s)")
    add("--root", help="folder of the corpus, as data.root")
    add("--split", default="test", help="whose sources are decoded (%(default)s)")
    add("--sentences", type=int, default=1000, help="the first so many (%(default)s)")
    add("--batch", type=int, default=64, help="sentences (%(default)s)")
    add("--tokens", type=int, default=16, help="of every hypothesis, eos included (%(default)s)")
    add("--models", default="transformer,recurrent", help="some of %(default)s")
    add("--threads", type=int, default=1, help="of every system (%(default)s)")
    add("--json", type=Path, help="file for every figure")
    add("overrides", nargs="*", help="of seq2seq-train: data.subwords.size=8000")
    args = parser.parse_intermixed_args()
    args.models = args.models.split(",")
    return args


def main() -> None:
    args = arguments()
    torch.set_num_threads(args.threads)
    logging.getLogger("transformers").setLevel(logging.ERROR)
    data = prepared(args)
    before = os.getloadavg()[0]
    batches = sources(data, args)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for name, race in systems(args, data.subwords.source.size, Path(folder)).items():
            held = [r for r in RACES if r.name == name and {r.peer, r.ours} <= set(race)]
            names = list(dict.fromkeys(n for r in held for n in (r.ours, r.peer)))
            seconds = run(race, names, batches, args.tokens)
            counts = [source.size(0) for source, _ in batches]
            results += [Result(r, counts, seconds[r.peer], seconds[r.ours]) for r in held]
    caption = (
        f"{args.data} {args.split}, {sum(s.size(0) for s, _ in batches):,} sentences, batches of "
        f"{args.batch}, {args.tokens} tokens, {args.threads} threads, torch {torch.__version__}; "
        f"load of the machine {before:.1f} before, {os.getloadavg()[0]:.1f} after"
    )
    Console(width=max(100, Console().width)).print(table(results, caption))
    if args.json:
        rows = [{**asdict(result), "ratio": result.ratio} for result in results]
        args.json.write_text(json.dumps({"caption": caption, "races": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
