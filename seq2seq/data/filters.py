"""Filters that drop useless training pairs, and log how many pairs each of them drops."""

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

FILTERS_VERSION = 1  # part of the cache key: raise it if the same settings keep other pairs
BLOCK = 10_000  # pairs at a time
NO_TEXT = r"[\x00-\x08\x0b-\x1f\x7f-\x{9f}\x{fffd}]|\p{Co}"
UNITS: dict[str, Callable[[pa.Array], pa.Array]] = {
    "words": lambda texts: pc.list_value_length(pc.utf8_split_whitespace(texts)),
    "characters": pc.utf8_length,
}


@dataclass(frozen=True)
class Filters:
    """Filters for training pairs; None or False turns a filter off.

    Filters are applied in this order, and a pair counts for the first filter that drops it.
    Whitespace around a text is ignored.

    Args:
        unit: unit of the lengths, "words" (separated by whitespace) or "characters" (for languages
            that do not separate words).
        min_length: drop pairs with a side shorter than this.
        max_length: drop pairs with a side longer than this.
        max_ratio: drop pairs with one side more than this many times longer than the other.
        non_text: drop pairs with a side that has control characters, U+FFFD or private-use
            characters, or no letter.
        copies: drop pairs with equal sides.
        duplicates: drop pairs that have occurred before.
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
                f"data.filters.max_ratio={self.max_ratio} would drop every pair, because it is the "
                "length of the longer side over that of the shorter; set it to at least 1"
            )

    @property
    def active(self) -> list[str]:
        """The names of the filters that are on, in their order."""
        return [name for name in _DROPPED if getattr(self, name) not in (None, False)]

    def apply(self, split: Dataset, folder: Path, key: str = "data.filters") -> Dataset:
        """Return the pairs that pass all filters; the result is cached in `folder`.

        Takes one byte of memory per pair while it runs, about 30 with `duplicates`.

        Args:
            split: the training pairs.
            folder: the cache folder.
            key: key of the filters in the configuration, for messages.

        Raises:
            DataError: if no pair passes.
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
        """Return for each pair 0 if it passes, else the number of its filter, counted from 1."""
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
                f"{key} drop all {total:,} training pairs; relax the filter that drops most, "
                f"{key}.{list(_DROPPED)[int(np.argmax(counts[1:]))]}"
            )


@dataclass(frozen=True)
class _Pair:
    """Texts of both sides of a block, and their lengths."""

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
        """Return an 8-byte hash of each pair; two different pairs collide with probability 2⁻⁶⁴."""
        texts = zip(self.source.to_pylist(), self.target.to_pylist(), strict=True)
        return np.array(
            [xxhash.xxh3_64_intdigest(f"{s}\n{t}".encode()) for s, t in texts], np.uint64
        )

    def without_text(self) -> NDArray[np.bool_]:
        masks = [
            pc.or_(
                pc.match_substring_regex(side, NO_TEXT),
                pc.invert(pc.match_substring_regex(side, r"\p{L}")),
            )
            for side in (self.source, self.target)
        ]
        return np.asarray(pc.or_(*masks))


_DROPPED: dict[str, Callable[[_Pair, float], object]] = {
    "min_length": lambda pair, least: pair.shorter < least,
    "max_length": lambda pair, most: pair.longer > most,
    "max_ratio": lambda pair, most: pair.longer > most * pair.shorter,
    "non_text": lambda pair, _: pair.without_text(),
    "copies": lambda pair, _: pc.equal(pair.source, pair.target),
    "duplicates": lambda pair, _: None,  # needs all pairs: see _mark_repeated
}
"""For each filter, in order of application: which pairs of a block it drops."""


def _mark_repeated(digests: NDArray[np.uint64], verdicts: NDArray[np.uint8], number: int) -> None:
    """Set the verdict of each passed pair whose digest an earlier passed pair has to `number`."""
    rows = np.flatnonzero(verdicts == 0).astype(np.int32)
    rows = rows[np.argsort(digests[rows], kind="stable")]
    in_order = digests[rows]
    verdicts[rows[1:][in_order[1:] == in_order[:-1]]] = number


def _blocks(split: Dataset) -> Iterator[pa.Table]:
    yield from split.with_format("arrow").iter(batch_size=BLOCK)


def _counts(report: Path) -> list[int] | None:
    """Return the number of pairs that passed and that each filter dropped; None if unknown."""
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
    """Write the rows where `keep` is True to a file of the cache."""
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
