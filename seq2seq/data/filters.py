"""Cleaning: training pairs that teach nothing are left out, and each filter says how many."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from datasets import Dataset
from numpy.typing import NDArray

from seq2seq.data.cache import content_key, open_table, tell_damaged, texts_key
from seq2seq.data.corpora.corpus import SIDES
from seq2seq.system.atomic_writing import replacing, write_atomically
from seq2seq.system.errors import DataError
from seq2seq.system.untrusted_files import parse_json

logger = logging.getLogger(__name__)

FILTERS_VERSION = 1  # part of the cache's key: raise it when the same settings keep other pairs
BLOCK = 10_000  # pairs at a time
NO_TEXT = r"[\x00-\x08\x0b-\x1f\x7f-\x{9f}\x{fffd}]|\p{Co}"
UNITS: dict[str, Callable[[pa.Array], pa.Array]] = {
    "words": lambda texts: pc.list_value_length(pc.utf8_split_whitespace(texts)),
    "characters": pc.utf8_length,
}


@dataclass(frozen=True)
class Filters:
    """Which training pairs are left out; None or False: that filter is off.

    Filters are applied in this order, and a pair counts for the first that drops it. White space
    around a text never matters.

    Args:
        unit: of lengths, "words" (between white space) or "characters" (for languages that write
            no blanks).
        min_length: either side is shorter.
        max_length: either side is longer.
        max_ratio: one side is more than so many times longer than the other.
        non_text: a side has control characters, U+FFFD or private characters, or has no letter.
        copies: the target is the source.
        duplicates: the same pair came before; the first is kept.
    """

    unit: str = "words"
    min_length: int | None = None
    max_length: int | None = None
    max_ratio: float | None = None
    non_text: bool = False
    copies: bool = False
    duplicates: bool = False

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise DataError(f"data.filters.unit={self.unit} is none of: {', '.join(UNITS)}")
        if self.max_ratio is not None and self.max_ratio < 1:
            raise DataError(
                f"data.filters.max_ratio={self.max_ratio} is below 1, which would drop every pair: "
                "it is the longer side over the shorter"
            )

    @property
    def active(self) -> list[str]:
        """The names of the filters that are on, in their order."""
        return [name for name in _DROPPED if getattr(self, name) not in (None, False)]

    def apply(self, split: Dataset, folder: Path, key: str = "data.filters") -> Dataset:
        """The pairs that pass, from the cache in `folder` where they were filtered before.

        What is told of them names the filters by their `key` in the configuration.

        Takes a byte a pair for a moment, about 30 where duplicates are looked for; none after.

        Raises:
            DataError: no pair passes.
        """
        if not self.active:
            return split
        texts = [texts_key(split, column, folder) for column in split.column_names]
        entry = content_key(
            FILTERS_VERSION, split.column_names, texts, sorted(asdict(self).items())
        )
        path = folder / "texts" / f"{entry}.arrow"
        report = path.with_suffix(".json")
        table, counts = open_table(path), _counts(report)
        if table is None or counts is None:
            verdicts = self._verdicts(split)
            write_rows(split, verdicts == 0, path)
            counts = np.bincount(verdicts, minlength=len(_DROPPED) + 1).tolist()
            write_atomically(report, json.dumps(counts).encode())
            table = Dataset.from_file(str(path))
        self._tell(counts, key)
        return table

    def _verdicts(self, split: Dataset) -> NDArray[np.uint8]:
        """For each pair 0 if it passes, else the number of the filter that drops it, from 1."""
        verdicts = np.zeros(len(split), np.uint8)
        digests = np.zeros(len(split) if self.duplicates else 0, np.uint64)
        first = 0
        for block in _blocks(split.select_columns(list(SIDES))):
            pair = _Pair.of(block, self.unit)
            here = verdicts[first : first + len(block)]
            for number, (name, dropped) in enumerate(_DROPPED.items(), start=1):
                if name in self.active and name != "duplicates":
                    mask = np.asarray(dropped(pair, getattr(self, name)))
                    here[(here == 0) & mask] = number
            if self.duplicates:
                digests[first : first + len(block)] = pair.digests()
            first += len(block)
        if self.duplicates:
            _mark_repeated(digests, verdicts, len(_DROPPED))
        return verdicts

    def _tell(self, counts: list[int], key: str) -> None:
        total = sum(counts)
        for number, name in enumerate(_DROPPED, start=1):
            if name in self.active:
                logger.info(
                    "%s of %s training pairs dropped: %s.%s=%s",
                    f"{counts[number]:,}",
                    f"{total:,}",
                    key,
                    name,
                    getattr(self, name),
                )
        if not counts[0]:
            raise DataError(
                f"{key} drop all {total:,} training pairs; the one that drops most is "
                f"{key}.{list(_DROPPED)[int(np.argmax(counts[1:]))]}"
            )


@dataclass(frozen=True)
class _Pair:
    """Texts of both sides, and their lengths, of a block."""

    source: pa.Array
    target: pa.Array
    shorter: NDArray[np.int64]
    longer: NDArray[np.int64]

    @classmethod
    def of(cls, block: pa.Table, unit: str) -> _Pair:
        source, target = (
            pc.utf8_trim_whitespace(block[column].combine_chunks()) for column in SIDES
        )
        lengths = [UNITS[unit](x).to_numpy(zero_copy_only=False) for x in (source, target)]
        return cls(source, target, np.minimum(*lengths), np.maximum(*lengths))

    def digests(self) -> NDArray[np.uint64]:
        """Eight bytes for each pair; two different ones have the same once in 2⁶⁴ pairs of them."""
        texts = zip(self.source.to_pylist(), self.target.to_pylist(), strict=True)
        return np.array(
            [xxhash.xxh3_64_intdigest(f"{s}\n{t}".encode()) for s, t in texts], np.uint64
        )

    def without_text(self) -> NDArray[np.bool_]:
        found = [
            pc.or_(
                pc.match_substring_regex(side, NO_TEXT),
                pc.invert(pc.match_substring_regex(side, r"\p{L}")),
            )
            for side in (self.source, self.target)
        ]
        return np.asarray(pc.or_(*found))


_DROPPED: dict[str, Callable[[_Pair, float], object]] = {
    "min_length": lambda pair, least: pair.shorter < least,
    "max_length": lambda pair, most: pair.longer > most,
    "max_ratio": lambda pair, most: pair.longer > most * pair.shorter,
    "non_text": lambda pair, _: pair.without_text(),
    "copies": lambda pair, _: pc.equal(pair.source, pair.target),
    "duplicates": lambda pair, _: None,  # needs all pairs: see _mark_repeated
}
"""For each filter which pairs of a block it drops, in the order of their application."""


def _mark_repeated(digests: NDArray[np.uint64], verdicts: NDArray[np.uint8], number: int) -> None:
    """Give the number to every pair that passed but whose digest an earlier one of those has."""
    rows = np.flatnonzero(verdicts == 0).astype(np.int32)
    rows = rows[np.argsort(digests[rows], kind="stable")]
    in_order = digests[rows]
    verdicts[rows[1:][in_order[1:] == in_order[:-1]]] = number


def _blocks(split: Dataset) -> Iterator[pa.Table]:
    yield from split.with_format("arrow").iter(batch_size=BLOCK)


def _counts(report: Path) -> list[int] | None:
    """How many pairs passed, and how many each filter dropped; None where that is not known."""
    if not report.is_file():
        return None
    try:
        counts = parse_json(report.read_bytes())
    except DataError as error:
        tell_damaged(report, error)
        return None
    whole = isinstance(counts, list) and all(type(count) is int for count in counts)
    if whole and len(counts) == len(_DROPPED) + 1:
        return counts
    tell_damaged(report)
    return None


def write_rows(split: Dataset, keep: NDArray[np.bool_], path: Path) -> None:
    """Write the rows to keep to a file of the cache."""
    schema, first = None, 0
    with replacing(path) as temporary, pa.OSFile(str(temporary), "wb") as file:
        writer = None
        for block in _blocks(split):
            if writer is None:
                schema = block.schema
                writer = pa.ipc.new_stream(file, schema)
            writer.write_table(block.filter(pa.array(keep[first : first + len(block)])))
            first += len(block)
        if writer is not None:
            writer.close()
