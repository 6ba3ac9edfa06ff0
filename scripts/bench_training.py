"""Training speed beside the plain PyTorch loop of the same model, on the same batches.

    python scripts/bench_training.py
    python scripts/bench_training.py --data multi30k --root DIR --attention softmax,fusedmax

Three loops train models of the same size and weights: a plain loop with a model of `torch.nn`
(`plain_models.py`); the same loop with our model; and our run as `seq2seq-train` starts it, with
logging, callbacks, schedule and the state saved at its usual interval (validation is left out).
They take turns of a few batches, so that a busy machine is busy for all of them.

Speed is source and target tokens a second without padding, the median over the turns. A ratio is
the median over the turns of a loop's speed by that of the plain loop in the same turn.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import lightning
import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from plain_models import PlainInputFeeding, PlainRecurrent, PlainTransformer
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from seq2seq.cli.application import config_folder
from seq2seq.data.batch import PAD_ID, Batch
from seq2seq.data.parallel import ParallelData, prepare
from seq2seq.nn.losses import SequenceLoss
from seq2seq.training.fit import TestSettings, ValidationSettings, fit
from seq2seq.training.module import Seq2SeqModule
from seq2seq.training.survival import Survival

SIZE = "embedding_size=512 hidden_size=512 encoder_layers=2 decoder_layers=2"
LIKE_PLAIN = "bridge=copy tie_embeddings=none"
RECURRENT = ["model=recurrent", *(f"model.{key}" for key in f"{SIZE} {LIKE_PLAIN}".split())]
MODELS: dict[str, tuple[type[nn.Module], list[str]]] = {
    "feeding": (PlainInputFeeding, [*RECURRENT, "model.input_feeding=true"]),
    "recurrent": (PlainRecurrent, [*RECURRENT, "model.input_feeding=false"]),
    "transformer": (PlainTransformer, ["model=transformer"]),
}
LOOPS = ("plain", "ours", "run")


@dataclass(frozen=True)
class Result:
    """One race: tokens a second of every loop in every turn."""

    model: str
    attention: str
    parameters: int
    seconds_of_a_save: float
    tokens_per_second: dict[str, list[float]]

    def speed(self, loop: str) -> float:
        return statistics.median(self.tokens_per_second[loop])

    def ratio(self, loop: str) -> float:
        mine, plain = self.tokens_per_second[loop], self.tokens_per_second["plain"]
        return statistics.median(a / b for a, b in zip(mine, plain, strict=True))


def plain_loss(model: Any, loss: SequenceLoss, batch: Batch) -> Tensor:
    return F.cross_entropy(
        model(batch.source, batch.source_lengths, batch.target_input).flatten(0, 1),
        batch.target_output.flatten(),
        ignore_index=PAD_ID,
        label_smoothing=loss.label_smoothing,
    )


def our_loss(model: Any, loss: SequenceLoss, batch: Batch) -> Tensor:
    logits = model(batch.source, batch.source_lengths, batch.target_input).logits
    found = loss(logits, batch.target_output, model.output_mapping)
    return found.loss_sum / found.tokens


class Loop:
    """A plain training loop: forward, loss, backward, clip, Adam."""

    def __init__(self, model: nn.Module, loss: Callable[[Batch], Tensor], lr: float, half: bool):
        self.model, self.loss, self.half = model.train(), loss, half
        self.optimizer = torch.optim.Adam(model.parameters(), lr, betas=(0.9, 0.98), eps=1e-9)

    def turn(self, batches: Sequence[Batch]) -> float:
        """Train on the batches; the seconds that it took."""
        started = time.perf_counter()
        for batch in batches:
            with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
                loss = self.loss(batch)
            self.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
        return time.perf_counter() - started


class Turns(lightning.Callback):
    """Stops the run every few steps and lets the other loops train on the batches it just had."""

    def __init__(self, loops: Sequence[Loop], batches: Sequence[Batch], steps: int) -> None:
        self.loops, self.batches, self.steps = loops, batches, steps
        self.seconds: list[list[float]] = []  # a row a turn, in the order of LOOPS
        self.saving = 0.0

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self.since = time.perf_counter()

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        step = trainer.global_step
        if step % self.steps == 0:
            run = time.perf_counter() - self.since
            turn = self.batches[step - self.steps : step]
            self.seconds.append([*(loop.turn(turn) for loop in self.loops), run])
            trainer.should_stop = step == len(self.batches)
            self.since = time.perf_counter()

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
        started = time.perf_counter()
        next(c for c in callbacks if isinstance(c, Survival)).save(trainer)
        self.saving = time.perf_counter() - started

    def speeds(self, saves_a_step: float) -> dict[str, list[float]]:
        """Tokens a second, a turn each, without the first: it warms up."""
        speeds: dict[str, list[float]] = {loop: [] for loop in LOOPS}
        for number, seconds in enumerate(self.seconds):
            turn = self.batches[number * self.steps :][: self.steps]
            tokens = sum(batch.tokens for batch in turn)
            seconds[-1] += self.steps * saves_a_step * self.saving
            for loop, value in zip(LOOPS, seconds, strict=True):
                speeds[loop].append(tokens / value)
        return {loop: values[1:] for loop, values in speeds.items()}


def configuration(model: str, attention: str, args: argparse.Namespace) -> DictConfig:
    """That of `seq2seq-train`, of the size and length of the bench."""
    overrides = [
        f"data={args.data}",
        *MODELS[model][1],
        f"attention={attention}",
        f"data.batch.tokens={args.batch_tokens}",
        f"trainer.precision={'bf16-mixed' if args.precision == 'bf16' else '32-true'}",
        "trainer.accelerator=cpu",
        "validation.sentences=1",
        "validation.heat_maps=0",
        "validation.average=false",
        "test.split=null",
        *args.overrides,
    ]
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose("train", overrides)
    if args.root:
        config.data.root = args.root
    return config


def race(model: str, attention: str, data: ParallelData, args: argparse.Namespace) -> Result:
    """Start all three and let them take turns."""
    config = configuration(model, attention, args)
    torch.manual_seed(config.seed)
    sizes = {
        "source_vocabulary_size": data.subwords.source.size,
        "target_vocabulary_size": data.subwords.target.size,
    }
    plain = MODELS[model][0](**sizes, model=config.model)
    ours, of_run = (instantiate(config.model, **sizes, _convert_="all") for _ in range(2))
    parameters = [sum(p.numel() for p in m.parameters()) for m in (plain, ours)]
    if parameters[0] != parameters[1]:
        raise SystemExit(f"{model}: plain and our parameters differ in number: {parameters}")
    loss = SequenceLoss(**config.loss)
    half, rate = args.precision == "bf16", config.optimizer.lr
    loops = [
        Loop(plain, partial(plain_loss, plain, loss), rate, half),
        Loop(ours, partial(our_loss, ours, loss), rate, half),
    ]
    turns = Turns(loops, first_batches(data, config, args.steps * (args.turns + 1)), args.steps)
    saves_a_step = 1 / config.validation.every_n_steps
    run(config, of_run, loss, data, turns)
    return Result(model, attention, parameters[0], turns.saving, turns.speeds(saves_a_step))


def first_batches(data: ParallelData, config: DictConfig, number: int) -> list[Batch]:
    """Those that the run will see."""
    loader = data.train_loader(seed=config.seed, **config.data.batch)
    epochs = (iter(loader) for _ in itertools.count())
    return list(itertools.islice(itertools.chain.from_iterable(epochs), number))


def run(
    config: DictConfig, model: nn.Module, loss: SequenceLoss, data: ParallelData, turns: Turns
) -> None:
    """What `seq2seq-train` does, with the turns as the last callback."""
    # No validation and no save falls into a turn: one save is timed at the end, for its share.
    config.validation.every_n_steps = len(turns.batches) + 1
    build = instantiate(config.trainer, _partial_=True)
    plain_config: Any = OmegaConf.to_container(config, resolve=True)
    with tempfile.TemporaryDirectory() as folder:
        fit(
            Seq2SeqModule(
                instantiate(config.task),
                model,  # type: ignore[arg-type]
                loss,
                instantiate(config.optimizer),
                instantiate(config.schedule),
            ),
            data,
            data.train_loader(seed=config.seed, **config.data.batch),
            lambda callbacks, **others: build(callbacks=[*callbacks, turns], **others),
            folder=Path(folder),
            config=plain_config,
            validation=ValidationSettings(**instantiate(config.validation, _convert_="all")),
            test=TestSettings(**instantiate(config.test, _convert_="all")),
        )


def table(results: Sequence[Result], caption: str) -> Table:
    shown = Table("model", "attention", caption=caption)
    for column in ("plain", "ours", "÷ plain", "our run", "÷ plain"):
        shown.add_column(column, justify="right")
    for result in results:
        cells = [f"{result.speed('plain'):,.0f}"]
        for loop in LOOPS[1:]:
            cells += [f"{result.speed(loop):,.0f}", f"{result.ratio(loop):.2f}"]
        shown.add_row(result.model, result.attention, *cells)
    return shown


def arguments(document: str, **defaults: Any) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=document.split("\n\n")[0])
    add = parser.add_argument
    add("--data", default="toy", help="a corpus of configs/data (%(default)s)")
    add("--root", help="folder of the corpus, as data.root")
    add("--models", default=",".join(MODELS), help="some of %(default)s")
    add("--attention", default="softmax", help="mappings of configs/attention (%(default)s)")
    add("--batch-tokens", type=int, default=4096, help="slots of a batch (%(default)s)")
    add("--steps", type=int, default=5, help="batches of a turn (%(default)s)")
    add("--turns", type=int, default=7, help="turns that count (%(default)s)")
    add("--threads", type=int, default=2, help="of PyTorch (%(default)s)")
    add("--precision", choices=("32", "bf16"), default="32", help="(%(default)s)")
    add("--json", type=Path, help="file for every figure")
    add("overrides", nargs="*", help="further overrides of seq2seq-train: data.subwords.size=8000")
    parser.set_defaults(**defaults)
    args = parser.parse_intermixed_args()
    args.models, args.attention = args.models.split(","), args.attention.split(",")
    if unknown := set(args.models) - set(MODELS):
        parser.error(f"--models: {', '.join(unknown)} is none of {', '.join(MODELS)}")
    return args


def prepared(args: argparse.Namespace) -> ParallelData:
    torch.set_num_threads(args.threads)
    datasets.disable_progress_bars()
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*(enable_nested_tensor|LeafSpec).*")
    config = configuration(args.models[0], args.attention[0], args)
    given: Any = OmegaConf.to_container(config.data, resolve=True)
    settings = {key: given[key] for key in ("subwords", "filters", "limits", "cache")}
    return prepare(instantiate(config.data.corpus), **settings)


def main() -> None:
    args = arguments(__doc__ or "")
    data = prepared(args)
    before = os.getloadavg()[0]
    pairs = itertools.product(args.models, args.attention)
    results = [race(model, attention, data, args) for model, attention in pairs]
    caption = (
        "Tokens a second of the plain loop, of our model in the same loop, of our run. "
        f"{args.data}, batches of {args.batch_tokens:,}, precision "
        f"{args.precision}, {args.threads} threads, torch {torch.__version__}; "
        f"load of the machine {before:.1f} before, {os.getloadavg()[0]:.1f} after"
    )
    Console().print(table(results, caption))
    if args.json:
        rows = [
            {**asdict(r), "ratio": {loop: r.ratio(loop) for loop in LOOPS[1:]}} for r in results
        ]
        args.json.write_text(json.dumps({"caption": caption, "races": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
