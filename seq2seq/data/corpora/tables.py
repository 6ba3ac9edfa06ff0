"""From rows of texts to a memory-mapped table: checked once, cached by content."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
from datasets import Dataset

from seq2seq.data.cache import open_table
from seq2seq.data.corpora.corpus import SIDES, reference_columns
from seq2seq.data.corpora.readers import Absent
from seq2seq.system.atomic_writing import replacing
from seq2seq.system.errors import DataError

logger = logging.getLogger(__name__)

BLOCK_ROWS = 10_000
BLOCK_CHARACTERS = 1 << 25
TABLE_VERSION = 2  # part of the cache's key: raise it when the same files give other rows

PlacedRow = tuple[int, Sequence[object], list[str]]
"""Line number, for each column the file it stands in, for each column its text."""


def normalized(
    rows: Iterable[PlacedRow],
    columns: Sequence[str],
    normalize: Callable[[str], str],
    targets: bool = True,
) -> Iterator[PlacedRow]:
    """The rows with their sources, and their targets and references if wished, rewritten."""
    references = reference_columns(columns) if targets else []
    rewritten = [column == "source" or column in references for column in columns]
    for number, names, texts in rows:
        pairs = zip(texts, rewritten, strict=True)
        yield number, names, [normalize(text) if new and text else text for text, new in pairs]


def cached_table(
    path: Path,
    columns: Sequence[str],
    rows: Iterable[PlacedRow],
    on_empty: str,
    names: Sequence[object] = (),
) -> Dataset:
    """The table at `path` of the cache; made from the rows if it is not there (or is damaged).

    Args:
        path: in the cache.
        columns: their names.
        rows: read only if need be.
        on_empty: "error" or "skip" rows where a side is empty.
        names: of the files, for the message where there is no row in them.
    """
    if (table := open_table(path)) is not None:
        return table
    schema = pa.schema([(column, pa.string()) for column in columns])
    with (
        replacing(path) as temporary,
        pa.OSFile(str(temporary), "wb") as file,
        pa.ipc.new_stream(file, schema) as writer,
    ):
        for block in _blocks(_checked(rows, columns, on_empty, names)):
            block_columns = [list(column) for column in zip(*block, strict=True)]
            writer.write_batch(pa.record_batch(block_columns, schema))
    return Dataset.from_file(str(path))


def _blocks(rows: Iterable[list[str]]) -> Iterator[list[list[str]]]:
    """As many rows as are written at once: fewer, where they are long."""
    block: list[list[str]] = []
    size = 0
    for row in rows:
        block.append(row)
        size += sum(map(len, row))
        if len(block) == BLOCK_ROWS or size > BLOCK_CHARACTERS:
            yield block
            block, size = [], 0
    if block:
        yield block


def _checked(
    rows: Iterable[PlacedRow], columns: Sequence[str], on_empty: str, names: Sequence[object]
) -> Iterator[list[str]]:
    if on_empty not in ("error", "skip"):
        raise DataError(f"data.on_empty={on_empty} is neither error nor skip")
    sides = [columns.index(column) for column in SIDES]
    kept = skipped = 0
    problem = ""  # of the first row that was skipped
    files: dict[object, None] = {}
    for number, places, texts in rows:
        found = _problem(number, places, texts, sides)
        if found and on_empty == "error":
            raise DataError(f"{found}; drop it with data.on_empty=skip")
        if all(texts[side].strip() for side in sides):
            kept += 1
            yield texts
        else:
            skipped += 1
            problem = problem or found
        files.update(dict.fromkeys(places))
    where = ", ".join(map(str, files or names)) or "its files"
    if skipped:
        logger.warning(
            "%s line(s) with an empty or missing text skipped in %s", f"{skipped:,}", where
        )
    if not kept:
        raise DataError(f"there is no sentence pair in {where}{f' ({problem})' if problem else ''}")


def _problem(
    number: int, places: Sequence[object], texts: Sequence[str], sides: Sequence[int]
) -> str:
    """What is wrong with a row that lacks a text; "" for others."""
    for column, text in enumerate(texts):
        if isinstance(text, Absent):
            return text.problem
        if column in sides and not text.strip():
            return f"line {number:,} of {places[column]} is empty"
    return ""
