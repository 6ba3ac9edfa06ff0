"""Build memory-mapped tables from rows of texts: checked once, cached by content."""

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
TABLE_VERSION = 2  # part of the cache key: raise it if the same files give other rows

PlacedRow = tuple[int, Sequence[object], list[str]]
"""Line number, then for each column its file, then for each column its text."""


def normalized(
    rows: Iterable[PlacedRow],
    columns: Sequence[str],
    normalize: Callable[[str], str],
    targets: bool = True,
) -> Iterator[PlacedRow]:
    """Yield the rows with rewritten sources, and if `targets`, also targets and references."""
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
    """Return the table at `path` in the cache; build it from the rows if missing or damaged.

    Args:
        path: file in the cache.
        columns: names of the columns.
        rows: the rows, which are read only to build the table.
        on_empty: "error" or "skip", for rows with an empty side.
        names: names of the files, for the message if they have no rows.

    Raises:
        DataError: if a side is empty and `on_empty` is "error", or no pair is left.
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
    """Yield blocks of rows to write at once; long rows make smaller blocks."""
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
        raise DataError(f"data.on_empty={on_empty} is unknown; set it to error or skip")
    sides = [columns.index(column) for column in SIDES]
    kept = skipped = 0
    problem = ""  # what is wrong with the first skipped row
    files: dict[object, None] = {}
    for number, places, texts in rows:
        row_problem = _problem(number, places, texts, sides)
        if row_problem and on_empty == "error":
            raise DataError(f"{row_problem}; drop it with data.on_empty=skip")
        if all(texts[side].strip() for side in sides):
            kept += 1
            yield texts
        else:
            skipped += 1
            problem = problem or row_problem
        files.update(dict.fromkeys(places))
    where = ", ".join(map(str, files or names)) or "its files"
    if skipped:
        logger.warning(
            "skipped %s line(s) with an empty or missing text in %s", f"{skipped:,}", where
        )
    if not kept:
        raise DataError(f"there is no sentence pair in {where}{f' ({problem})' if problem else ''}")


def _problem(
    number: int, places: Sequence[object], texts: Sequence[str], sides: Sequence[int]
) -> str:
    """Return what is wrong with a row that lacks a text; "" if it has all texts."""
    for column, text in enumerate(texts):
        if isinstance(text, Absent):
            return text.problem
        if column in sides and not text.strip():
            return f"line {number:,} of {places[column]} is empty"
    return ""
