"""A race of mappings: all contenders at one setting, taking turns, with fresh scores in every call.

In every round each contender takes a turn, in an order that rotates, so that a busy machine is busy
for all; its ratio is the median over the rounds of its time by that of the first in the same round.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

FORWARD, BOTH = DIRECTIONS = ("forward", "forward+backward")


@dataclass(frozen=True)
class Contender:
    """A mapping and whose it is; ``beside`` is the mapping of ours that it is compared with."""

    mapping: str
    by: str
    function: Callable[[Tensor], Tensor]
    beside: str


@dataclass(frozen=True)
class Setting:
    """What a race is run at; ``turn`` is the seconds that a turn aims at."""

    shape: str
    scale: float
    threads: int
    direction: str
    device: str
    rounds: int
    turn: float

    @property
    def size(self) -> tuple[int, int]:
        rows, length = self.shape.split("x")
        return int(rows), int(length)


@dataclass
class Result:
    """A contender in a race: seconds of a call in every round, and of the first call of all."""

    mapping: str
    by: str
    beside: str
    shape: str
    length: int
    scale: float
    threads: int
    direction: str
    first_call: float
    seconds: list[float] = field(default_factory=list)
    ratio: float = 0.0

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


class Lane:
    """A contender at work: its scores, and how many calls make a turn of it."""

    def __init__(self, call: Callable[[Tensor], Any], scores: Sequence[Tensor], turn: float):
        self.call, self.scores, self.next = call, scores, 0
        self.clock = _seconds_cuda if scores[0].is_cuda else _seconds
        self.calls = 1
        self.first_call = self.turn()
        once = min(self.turn() for _ in range(2))
        self.calls = max(1, min(len(scores), round(turn / once)))

    def turn(self) -> float:
        """Seconds of a call, the mean over a turn."""
        chosen = [self.scores[(self.next + i) % len(self.scores)] for i in range(self.calls)]
        self.next += self.calls
        return self.clock(self.call, chosen)


def race(contenders: Sequence[Contender], setting: Setting) -> list[Result]:
    """All at one setting; ratios are to the first."""
    scores = _draw(setting)
    vectors = torch.randn(setting.size, device=setting.device)
    lanes = [Lane(_call(c, setting, vectors), scores, setting.turn) for c in contenders]
    results = [_result(c, setting, lane) for c, lane in zip(contenders, lanes, strict=True)]
    for result, seconds in zip(results, take_turns(lanes, setting.rounds), strict=True):
        result.seconds = seconds
    for result in results:
        pairs = zip(result.seconds, results[0].seconds, strict=True)
        result.ratio = statistics.median(a / b for a, b in pairs)
    return results


def take_turns(lanes: Sequence[Lane], rounds: int) -> list[list[float]]:
    """Return the seconds of a call in every round, for each lane."""
    seconds: list[list[float]] = [[] for _ in lanes]
    for number in range(rounds):
        for i in range(len(lanes)):
            mine = (i + number) % len(lanes)
            seconds[mine].append(lanes[mine].turn())
    return seconds


def _result(contender: Contender, setting: Setting, lane: Lane) -> Result:
    return Result(
        mapping=contender.mapping,
        by=contender.by,
        beside=contender.beside,
        shape=setting.shape,
        length=setting.size[1],
        scale=setting.scale,
        threads=setting.threads,
        direction=setting.direction,
        first_call=lane.first_call,
    )


def _draw(setting: Setting) -> list[Tensor]:
    """At least 16 different scores, and more where they are small, lest branches be learned."""
    rows, length = setting.size
    number = max(16, min(256, 2**20 // (rows * length)))
    generator = torch.Generator(setting.device).manual_seed(rows * length)
    drawn = (
        torch.randn(setting.size, generator=generator, device=setting.device) for _ in range(number)
    )
    return [(setting.scale * x).requires_grad_(setting.direction == BOTH) for x in drawn]


def _call(contender: Contender, setting: Setting, vectors: Tensor) -> Callable[[Tensor], Any]:
    function = contender.function
    if setting.direction == FORWARD:
        return function
    return lambda x: torch.autograd.grad(function(x), x, vectors)


def _seconds(call: Callable[[Tensor], Any], scores: Sequence[Tensor]) -> float:
    started = time.perf_counter()
    for x in scores:
        call(x)
    return (time.perf_counter() - started) / len(scores)


def _seconds_cuda(call: Callable[[Tensor], Any], scores: Sequence[Tensor]) -> float:
    started, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    started.record()
    for x in scores:
        call(x)
    ended.record()
    torch.cuda.synchronize()
    return started.elapsed_time(ended) / 1000 / len(scores)
