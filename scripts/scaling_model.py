"""What many devices cost, computed: bytes, seconds and tokens of an update of 1 to 512 devices.

Nothing here is measured. Parameters are counted in the models themselves, bytes follow from how
``trainer=ddp`` and ``trainer=fsdp`` exchange gradients, and seconds from the stated speeds of a
device and of two networks. ``docs/scaling.md`` prints the tables and says what they leave out.

    python scripts/scaling_model.py
    python scripts/scaling_model.py --utilization 0.5 --tokens 16384
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from seq2seq.mappings import Softmax
from seq2seq.models import Transformer

VOCABULARY = 32_000
SIZES = {
    "base": {"size": 512, "feedforward_size": 2048, "heads": 8},
    "big": {"size": 1024, "feedforward_size": 4096, "heads": 16},
}
DEVICES = (1, 8, 64, 512)
PER_MACHINE = 8
BUCKET = 25 * 2**20  # bytes that DDP exchanges at a time
HOP = 10e-6  # seconds until a message has reached the next machine
BYTES = 4  # of a weight or gradient: float32


@dataclass(frozen=True)
class Speeds:
    """Of the hardware: per second, in one direction.

    Attributes:
        operations: of a device at its best (bf16).
        utilization: the share of it that a model of this kind reaches.
        inside: bytes between the devices of a machine, for each device.
        outside: bytes between machines, for each machine.
    """

    operations: float = 989e12
    utilization: float = 0.3
    inside: float = 300e9
    outside: float = 50e9


NETWORKS = {"8 × 400 Gb/s": 8 * 50e9, "1 × 100 Gb/s": 12.5e9}


@dataclass(frozen=True)
class Counts:
    """Parameters of a Transformer: in all, of the encoder's stack, and what a token multiplies."""

    all: int
    encoder: int
    source_token: int
    target_token: int


def counts(name: str) -> Counts:
    """Of the Transformer of Vaswani et al. (2017) with one table for both languages."""
    with torch.device("meta"):
        model = Transformer(
            VOCABULARY,
            VOCABULARY,
            cross_mapping=Softmax(),
            encoder_layers=6,
            decoder_layers=6,
            tie_embeddings="all",
            **SIZES[name],  # type: ignore[arg-type]
        )
    encoder, decoder = _count(model.encoder), _count(model.decoder)
    table = VOCABULARY * int(SIZES[name]["size"])
    return Counts(_count(model), encoder, encoder, decoder + table)


def _count(module: nn.Module) -> int:
    return sum({id(p): p.numel() for p in module.parameters()}.values())


def operations(model: Counts, tokens: int) -> float:
    """Of forward and backward: 6 a parameter and token, half of the tokens source, half target."""
    return 6 * (model.source_token + model.target_token) * tokens / 2


def exchanged(model: Counts, devices: int, sharded: bool) -> float:
    """Bytes that each device sends in an update (and receives).

    ddp: a ring all-reduce of the gradients, 2 (N − 1)/N · 4 P. fsdp: the weights are gathered and
    the gradients scattered, (N − 1)/N · 4 P each; weights of the encoder's layers are gathered
    again on the way back.
    """
    share = (devices - 1) / devices * BYTES
    return share * (2 * model.all + (model.encoder if sharded else 0))


def exchange_seconds(model: Counts, devices: int, sharded: bool, speeds: Speeds) -> float:
    """Of an update: inside machines, then between them, and the hops of each bucket.

    Each machine sends 2 (M − 1)/M · 4 P through its network, shared by its devices.
    """
    inside, machines = min(devices, PER_MACHINE), math.ceil(devices / PER_MACHINE)
    seconds = exchanged(model, inside, sharded) / speeds.inside
    seconds += exchanged(model, machines, sharded) / speeds.outside
    buckets = math.ceil(BYTES * model.all / BUCKET)
    return seconds + 2 * math.ceil(math.log2(machines)) * HOP * buckets


def update_seconds(
    model: Counts, devices: int, tokens: int, speeds: Speeds, batches: int = 1
) -> tuple[float, float]:
    """Of an update with ``tokens`` on each device: computing, and waiting for ddp's exchange.

    Gradients travel during the way back of the last of the accumulated ``batches``, two thirds of
    its computing, but for the last bucket.
    """
    computing = operations(model, tokens) / (speeds.operations * speeds.utilization)
    exchange = exchange_seconds(model, devices, False, speeds)
    last = exchange * min(1.0, BUCKET / (BYTES * model.all))
    return computing, max(last, exchange - computing / batches * 2 / 3)


def bytes_held(model: Counts, devices: int, sharded: bool) -> float:
    """Of weights, gradients and Adam's two moments on a device, in the course of an update.

    fsdp: all but a device's share is there only while it is needed; weights and gradients of the
    whole model at the turn from forward to backward.
    """
    return BYTES * model.all * (2 + 2 / devices if sharded else 4)


def enough_tokens(model: Counts, devices: int, speeds: Speeds) -> float:
    """Tokens a device and update from which the exchange of ddp hides behind the way back."""
    per_token = operations(model, 1) / (speeds.operations * speeds.utilization)
    return exchange_seconds(model, devices, False, speeds) / (per_token * 2 / 3)


def tables(tokens: int, utilization: float) -> Iterator[str]:
    """Yield the lines of the tables of ``docs/scaling.md``."""
    yield "| model | parameters | devices | MB sent, ddp | MB sent, fsdp | GB held, ddp | fsdp |"
    yield "|---|---|---|---|---|---|---|"
    for name in SIZES:
        model = counts(name)
        for devices in DEVICES:
            sent = [exchanged(model, devices, sharded) / 1e6 for sharded in (False, True)]
            held = [bytes_held(model, devices, sharded) / 1e9 for sharded in (False, True)]
            yield (
                f"| {name} | {model.all / 1e6:.1f} M | {devices} | {sent[0]:,.0f} | {sent[1]:,.0f} "
                f"| {held[0]:.2f} | {held[1]:.2f} |"
            )
    yield ""
    yield (
        "| model | network of a machine | devices | tokens an update | computing, ms "
        "| exchange, ms | waiting, ms | efficiency | tokens a device for no waiting |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for name in SIZES:
        model = counts(name)
        for network, outside in NETWORKS.items():
            speeds = Speeds(utilization=utilization, outside=outside)
            for devices in DEVICES[1:]:
                computing, waiting = update_seconds(model, devices, tokens, speeds)
                exchange = exchange_seconds(model, devices, False, speeds)
                yield (
                    f"| {name} | {network} | {devices} | {devices * tokens:,} "
                    f"| {1e3 * computing:.1f} | {1e3 * exchange:.1f} | {1e3 * waiting:.1f} "
                    f"| {100 * computing / (computing + waiting):.0f} % "
                    f"| {enough_tokens(model, devices, speeds):,.0f} |"
                )


def fixed_batch(whole: int, tokens: int, utilization: float) -> Iterator[str]:
    """Yield the table of updates of ``whole`` tokens, with at most ``tokens`` per device."""
    yield (
        "| model | network of a machine | devices | batches an update and device "
        "| tokens a batch | update, ms | times as fast as 8 | efficiency |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for name in SIZES:
        model = counts(name)
        for network, outside in NETWORKS.items():
            speeds = Speeds(utilization=utilization, outside=outside)
            first = 0.0
            for devices in DEVICES[1:]:
                own = whole // devices
                batches = math.ceil(own / tokens)
                computing, waiting = update_seconds(model, devices, own, speeds, batches)
                update = computing + waiting
                first = first or update
                yield (
                    f"| {name} | {network} | {devices} | {batches} | {own // batches:,} "
                    f"| {1e3 * update:.1f} | {first / update:.1f} "
                    f"| {100 * computing / update:.0f} % |"
                )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokens", type=int, default=8192, help="on each device, in an update")
    parser.add_argument("--utilization", type=float, default=0.3, help="of a device's best speed")
    parser.add_argument("--update", type=int, default=393_216, help="tokens, where they are fixed")
    given = parser.parse_args()
    print(*tables(given.tokens, given.utilization), sep="\n")
    print("", *fixed_batch(given.update, given.tokens, given.utilization), sep="\n")


if __name__ == "__main__":
    main()
