"""Readers of one file each: lines, tab-separated columns, JSON lines, segments; packed or not.

A reader takes a path and the names of its columns and yields `(line number, texts)`. To add a
format: write a reader, and name its suffixes in `READERS`.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from seq2seq.data.corpora.segments import TestSet
from seq2seq.data.errors import DataError
from seq2seq.data.foreign import bounded_lines, shown

Row = tuple[int, list[str]]
Reader = Callable[[Path, Sequence[str | int]], Iterator[Row]]

OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    r"""The lines of a UTF-8 file with their numbers from 1.

    A line ends at \n or \r\n and nowhere else: texts may hold U+2028, \x0b, \x85 and the like.
    The length of a line is bounded, and so is what a packed file unpacks to.
    """
    number = 0
    try:
        with _open(path) as file:
            for number, line in enumerate(_lines(file, path), start=1):
                text = line.decode("utf-8").removesuffix("\n").removesuffix("\r")
                yield number, text.removeprefix("\ufeff") if number == 1 else text
    except UnicodeDecodeError as error:
        raise DataError(
            f"line {number:,} of {path} is not UTF-8 (byte {error.object[error.start]:#04x} at "
            f"column {error.start + 1}); convert the file, for instance with: "
            f"iconv -f latin1 -t utf-8 {path.name}"
        ) from error
    except (EOFError, lzma.LZMAError, zlib.error, OSError) as error:
        raise DataError(f"{path} cannot be read after line {number:,}: {error}") from error


def _lines(file: BinaryIO, path: Path) -> Iterator[bytes]:
    packed = path.suffix.lower() in OPENERS
    return bounded_lines(file, path, path.stat().st_size if packed else None)


def _open(path: Path) -> BinaryIO:
    return OPENERS.get(path.suffix.lower(), open)(path, "rb")


def read_plain(path: Path, columns: Sequence[str | int]) -> Iterator[Row]:
    """One text a line."""
    for number, line in read_lines(path):
        yield number, [line]


def read_segments(path: Path, columns: Sequence[str | int]) -> Iterator[Row]:
    """The segments of a test set in SGML or XML; see `TestSet.rows` for the columns."""
    return TestSet((line for _, line in read_lines(path)), path).rows(columns)


def read_tsv(path: Path, columns: Sequence[str | int]) -> Iterator[Row]:
    """Columns between tabs, by number from 0, or by the names that the first line gives."""
    lines = read_lines(path)
    if any(isinstance(column, str) for column in columns):
        header = next(lines, (0, ""))[1].split("\t")
        for column in columns:
            if isinstance(column, str) and column not in header:
                there = shown(", ".join(header), 200)
                raise DataError(f"{path} has no column {column!r}; it has: {there}")
        columns = [header.index(c) if isinstance(c, str) else c for c in columns]
    for number, line in lines:
        fields = line.split("\t")
        if max(map(int, columns)) >= len(fields):
            raise DataError(
                f"line {number:,} of {path} has {len(fields)} column(s) between tabs; "
                f"column {max(map(int, columns))} (counted from 0) is missing"
            )
        yield number, [fields[int(column)] for column in columns]


def read_json_lines(path: Path, columns: Sequence[str | int]) -> Iterator[Row]:
    """One JSON object a line, by names of fields; `translation.en` is the field of a field."""
    for number, line in read_lines(path):
        place = f"line {number:,} of {path}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{place} is not JSON: {error}") from error
        yield number, [pick(record, str(column), place) for column in columns]


def pick(record: Any, field: str, place: str) -> str:
    """The text at a field of a record; a dotted name is that of a field, or of a field's field."""
    value = record
    whole = isinstance(record, Mapping) and field in record
    for name in [field] if whole else field.split("."):
        if not isinstance(value, Mapping) or name not in value:
            there = ", ".join(value) if isinstance(value, Mapping) else f"only {value!r:.200}"
            raise DataError(f"{place} has no field {field!r}; there is: {shown(there, 200)}")
        value = value[name]
    if not isinstance(value, str):
        raise DataError(f"{place}: field {field!r} holds {value!r:.60}, not a text")
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise DataError(
                f"{place}: field {field!r} holds characters that are not Unicode (lone surrogates, "
                f"{error.object[error.start]!a})"
            ) from error
    return value


READERS: dict[str, Reader] = {
    "text": read_plain,
    "tsv": read_tsv,
    "jsonl": read_json_lines,
    "ndjson": read_json_lines,
    "json": read_json_lines,
    "sgm": read_segments,
    "xml": read_segments,
}
"""Readers by name of the format, which is also the suffix of its files; others are plain text."""

DEFAULT_COLUMNS: dict[Reader, tuple[str | int, str | int]] = {
    read_tsv: (0, 1),
    read_json_lines: ("source", "target"),
    read_segments: ("source", "target"),
}
"""Where source and target are in files that hold both."""


NAMED_COLUMNS = {read_json_lines, read_segments}
"""Readers of files whose columns have names; of the others, a single column is the first."""


def reader_for(path: Path, format: str | None = None) -> Reader:
    """The reader of a format, or of a file by its suffix."""
    if format is not None:
        if format not in READERS:
            raise DataError(f"data.format={format} is none of: {', '.join(READERS)}")
        return READERS[format]
    suffixes = [suffix for suffix in path.suffixes if suffix.lower() not in OPENERS]
    return READERS.get(suffixes[-1].lower().removeprefix(".") if suffixes else "text", read_plain)
