"""The loops that race in `bench_training.py`, each in a process of its own.

A contender builds its model and its batches, says that it is ready, and then trains on the next
few batches whenever it is told to. So each has its memory to itself, and one at a time works.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from joey_peers import joey, joey_loss
from marian_peers import marian
from omegaconf import DictConfig
from torch import Tensor, nn
from training_loops import (
    MODELS,
    Loop,
    configuration,
    first_batches,
    mean_cross_entropy,
    our_loss,
    plain_loss,
    prepared,
    sizes,
)
from training_run import run

from seq2seq.data.batch import PAD_ID, Batch
from seq2seq.data.parallel import ParallelData
from seq2seq.nn.losses import SequenceLoss


@dataclass(frozen=True)
class Entry:
    """Which loop races with which model."""

    loop: str
    model: str
    attention: str
    args: argparse.Namespace


@dataclass(frozen=True)
class Ready:
    """What a contender says before the race: of its model, its batches, and bytes in memory."""

    parameters: int
    tokens: list[int]
    filled: float
    saves_a_step: float
    memory: int


@dataclass(frozen=True)
class Finished:
    """What it says after the race: the most bytes in memory, and what its race measured too."""

    peak: int
    measured: dict[str, float]


@dataclass(frozen=True)
class Contender:
    """How a loop's model is built, and its loss; without a loss, it is our run."""

    build: Callable[[Entry, ParallelData, DictConfig], nn.Module]
    loss: Callable[[Any, SequenceLoss, Batch], Tensor] | None = None


def plain_model(entry: Entry, data: ParallelData, config: DictConfig) -> nn.Module:
    return MODELS[entry.model][0](**sizes(data), model=config.model)


def our_model(entry: Entry, data: ParallelData, config: DictConfig) -> nn.Module:
    return instantiate(config.model, **sizes(data), _convert_="all")


def marian_model(entry: Entry, data: ParallelData, config: DictConfig) -> nn.Module:
    """Hugging Face's, of our sizes, with one table for both sides and the output layer."""
    model = marian(data.subwords.target.size, config.model)
    for module in model.modules():
        if isinstance(getattr(module, "dropout", None), float):
            attends = hasattr(module, "num_heads")
            module.dropout = config.model.attention_dropout if attends else config.model.dropout
            if hasattr(module, "activation_dropout"):
                module.activation_dropout = config.model.dropout
    return model.train()


def marian_loss(model: Any, loss: SequenceLoss, batch: Batch) -> Tensor:
    pad = model.config.pad_token_id
    real = batch.source != PAD_ID
    logits = model(
        input_ids=batch.source.where(real, pad),
        attention_mask=real.long(),
        decoder_input_ids=batch.target_input.where(batch.target_input != PAD_ID, pad),
        use_cache=False,
    ).logits
    return mean_cross_entropy(logits, loss, batch)


def joey_model(entry: Entry, data: ParallelData, config: DictConfig) -> nn.Module:
    return joey(max(sizes(data).values()), entry.model, config)


BF16 = "run bf16"
CONTENDERS = {
    "plain": Contender(plain_model, plain_loss),
    "ours": Contender(our_model, our_loss),
    "run": Contender(our_model),
    BF16: Contender(our_model),
    "HF": Contender(marian_model, marian_loss),
    "JoeyNMT": Contender(joey_model, lambda m, loss, b: joey_loss(m, loss.label_smoothing, b)),
}
# Packages of others, and the models that they have, in the order of the table.
PEERS = {"HF": ("transformers", ("transformer",)), "JoeyNMT": ("joeynmt", tuple(MODELS))}


def contend(channel: Connection, entry: Entry) -> None:
    """Run a contender: send `Ready`, the seconds of each turn, and `Finished`.

    It works only when it is told to: before each turn, and before the end.
    """
    args = entry.args
    if entry.loop == BF16:
        args = argparse.Namespace(**{**vars(args), "precision": "bf16"})
    data = prepared(args)
    config = configuration(entry.model, entry.attention, args)
    batches = first_batches(data, config, args.steps * (args.turns + 1))
    torch.manual_seed(config.seed)
    contender = CONTENDERS[entry.loop]
    model = contender.build(entry, data, config)
    ready = Ready(
        sum(p.numel() for p in model.parameters()),
        [batch.tokens for batch in batches],
        sum(batch.tokens for batch in batches) / sum(batch.slots for batch in batches),
        1 / config.validation.every_n_steps,
        memory("VmRSS"),
    )
    forget_peak()
    channel.send(ready)
    loss = SequenceLoss(**config.loss)
    if contender.loss is None:
        turn = Turns(channel, args)
        measured = run(config, model, loss, data, turn, len(batches), args.sentences)
        channel.send(Finished(turn.peak, measured))
        return
    loop = Loop(
        model, partial(contender.loss, model, loss), config.optimizer.lr, args.precision == "bf16"
    )
    for first in range(0, len(batches), args.steps):
        channel.recv()
        channel.send(loop.turn(batches[first : first + args.steps]))
    channel.recv()
    channel.send(Finished(memory("VmHWM"), {}))


class Turns:
    """Lets our run wait for its turns and its end: called before the first, after every update."""

    def __init__(self, channel: Connection, args: argparse.Namespace) -> None:
        self.channel, self.steps, self.last = channel, args.steps, args.steps * (args.turns + 1)
        self.peak, self.since = 0, 0.0

    def __call__(self, updates: int) -> None:
        if updates % self.steps:
            return
        if updates:
            self.channel.send(time.perf_counter() - self.since)
        if updates == self.last:
            self.peak = memory("VmHWM")
        self.channel.recv()
        self.since = time.perf_counter()


def forget_peak() -> None:
    """Reset the peak of the memory, on Linux."""
    Path("/proc/self/clear_refs").write_text("5")


def memory(name: str) -> int:
    """Bytes, of Linux's /proc: VmRSS is what is in memory now, VmHWM the most of it so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{name}:"))


def peers(model: str) -> list[str]:
    """Return the loops of installed packages that can train a comparable model."""
    return [
        loop
        for loop, (package, models) in PEERS.items()
        if model in models and importlib.util.find_spec(package)
    ]
