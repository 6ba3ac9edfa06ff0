"""What the mappings' speed is held to, and whether a bench met it: data, and one comparison each.

A limit on our mapping is a largest ratio of its time to that of torch.softmax, or a smallest ratio
of a peer's time to ours, forward and backward on one thread, at one shape and scale of the scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OURS, TORCH, ENTMAX, PUBLISHED = "seq2seq", "torch", "entmax", "published"
ADASPLASH = "adasplash"
TABLE_SHAPES = ("64x30", "4096x32", "4096x128", "1024x512")
ROOT = (3.5, 15.0, 12.0, 10.0)  # mappings whose threshold is the root of a power
AT_SHAPES = {
    "sparsemax": (3.5, 3.5, 2.2, 1.6),
    "entmax15": (3.5, 6.0, 3.2, 2.0),
    "fusedmax": (3.5, 5.0, 3.5, 2.2),
    "oscarmax": (3.5, 6.0, 6.0, 12.0),
    "sqpnormmax": ROOT,
    "normmax": ROOT,
    "entmax13": ROOT,
}
ON_GPU = 2.0
PEERS = (  # mapping, peer, how many times slower it is to be, shapes
    ("fusedmax", f"{PUBLISHED} fusedmax", 100.0, "64x30"),
    ("oscarmax", f"{PUBLISHED} oscarmax", 100.0, "64x30"),
    ("sparsemax", f"{ENTMAX} sparsemax", 5.0, "length ≤ 512"),
    ("entmax15", f"{ENTMAX} entmax15", 5.0, "length ≤ 512"),
    ("entmax15", f"{ENTMAX} entmax_bisect 1.5", 20.0, "length ≤ 512"),
    ("entmax13", f"{ENTMAX} entmax_bisect 1.3", 20.0, "length ≤ 512"),
)
Race = Mapping[str, Any]


@dataclass(frozen=True)
class Bar:
    """A limit and what was found."""

    mapping: str
    against: str
    shape: str
    scale: float
    limit: float
    found: float | None  # None: was not measured
    faster: bool = False  # the limit is a smallest, not a largest ratio

    @property
    def verdict(self) -> str:
        if self.found is None:
            return "not measured"
        met = self.found >= self.limit if self.faster else self.found <= self.limit
        return "met" if met else "not met"


def bars(races: Sequence[Race], device: str) -> list[Bar]:
    """All bars of the device; races are those of a bench's JSON."""
    both = [r for r in races if r["direction"] == "forward+backward" and r["threads"] == 1]
    return list(_gpu_bars(both) if device == "cuda" else _cpu_bars(both))


def _gpu_bars(races: Sequence[Race]) -> Iterator[Bar]:
    for race in races:
        if race["by"] == OURS and race["scale"] == 1:
            against, shape = f"{TORCH} softmax", race["shape"]
            yield Bar(race["mapping"], against, shape, 1.0, ON_GPU, race["ratio"])


def _cpu_bars(races: Sequence[Race]) -> Iterator[Bar]:
    softmax = f"{TORCH} softmax"
    for mapping, limits in AT_SHAPES.items():
        for shape, limit in zip(TABLE_SHAPES, limits, strict=True):
            for scale in (1.0, 3.0):
                found = _ratio(races, mapping, shape, scale)
                yield Bar(mapping, softmax, shape, scale, limit, found)
    found = _ratio(races, "fusedmax", "4096x64", 0.1)
    yield Bar("fusedmax", softmax, "4096x64", 0.1, 10.0, found)
    for mapping, peer, limit, shapes in PEERS:
        for shape in _shapes(races, shapes):
            mine = _ratio(races, mapping, shape, 1.0)
            theirs = _ratio(races, peer, shape, 1.0)
            times = None if mine is None or theirs is None else theirs / mine
            yield Bar(mapping, peer, shape, 1.0, limit, times, faster=True)


def _shapes(races: Sequence[Race], shapes: str) -> list[str]:
    """Return the shapes to which a peer's bar applies: one, or all short measured shapes."""
    if shapes == "length ≤ 512":
        return list(dict.fromkeys(r["shape"] for r in races if r["length"] <= 512))
    return [shapes]


def _ratio(races: Sequence[Race], contender: str, shape: str, scale: float) -> float | None:
    """Of the time of ours, or of a peer named with its source, to that of torch.softmax."""
    for race in races:
        name = race["mapping"] if race["by"] == OURS else f"{race['by']} {race['mapping']}"
        if (name, race["shape"], race["scale"]) == (contender, shape, scale):
            return float(race["ratio"])
    return None
