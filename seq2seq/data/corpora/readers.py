"""Readers of files: plain lines, columns, JSON, segments; compressed or not.

A reader takes a path and the columns, and yields `(line number, texts)`. To add a format, write a
reader and add its suffixes to `READERS`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from seq2seq.data.corpora.lines import OPENERS, read_beginning, read_lines
from seq2seq.data.corpora.segments import TestSet
from seq2seq.data.corpora.separated import (
    read_csv,
    read_quoted_tsv,
    read_tsv,
    read_unquoted_csv,
    read_unquoted_tsv,
)
from seq2seq.system.errors import DataError
from seq2seq.system.untrusted_files import MOST_UNPACKED, shown

Row = tuple[int, list[str]]
Reader = Callable[[Path, Sequence[str | int]], Iterator[Row]]


class Absent(str):
    """The empty text of a record without that field.

    Attributes:
        problem: what is wrong with the record.
    """

    problem: str

    def __new__(cls, problem: str) -> Absent:
        """Create an empty text with a problem."""
        text = super().__new__(cls)
        text.problem = problem
        return text


def read_plain(path: Path, columns: Sequence[str | int]) -> Iterator[Row]:
    """Yield one text per line."""
    for number, line in read_lines(path):
        yield number, [line]


def read_segments(path: Path, columns: Sequence[str | int]) -> Iterator[Row]:
    """Yield the segments of a test set in SGML or XML; for columns see `TestSet.rows`."""
    return TestSet((line for _, line in read_lines(path)), path).rows(columns)


def read_json(path: Path, columns: Sequence[str | int]) -> Iterator[Row]:
    """Yield fields of JSON objects: one object per line, or a list of objects.

    The column `translation.en` is a nested field, `summaries.0` the first element of a list. In a
    list, the number of a row is that of its object.
    """
    records = _listed(path) if _begins_a_list(path) else _one_a_line(path)
    for number, record, place in records:
        yield number, [pick(record, str(column), place) for column in columns]


def _one_a_line(path: Path) -> Iterator[tuple[int, Any, str]]:
    for number, line in read_lines(path):
        place = f"line {number:,} of {path}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{place} is not JSON: {error}") from error
        yield number, record, place


def _begins_a_list(path: Path) -> bool:
    """Return True if the first non-blank character of the file opens a list."""
    return read_beginning(path, 1024).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"["


def _listed(path: Path) -> Iterator[tuple[int, Any, str]]:
    content = read_beginning(path, MOST_UNPACKED + 1)
    if len(content) > MOST_UNPACKED:
        raise DataError(
            f"{path} is a JSON list of more than {MOST_UNPACKED:,} bytes, which is too large to "
            "read at once; write one object per line (jq -c '.[]')"
        )
    try:
        records = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: {error}") from error
    for number, record in enumerate(records, start=1):
        yield number, record, f"object {number:,} of {path}"


def pick(record: Any, field: str, place: str) -> str:
    """Return the text of a field; `Absent` if it is missing or null. Integers become digits.

    A dotted name is the name of a field, or the path to a nested field or to an element of a list.

    Raises:
        DataError: if the value is neither a text nor an integer, or has lone surrogates.
    """
    value = record
    whole = isinstance(record, Mapping) and field in record
    for name in [field] if whole else field.split("."):
        if isinstance(value, Mapping) and name in value:
            value = value[name]
        elif isinstance(value, Sequence) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return Absent(f"{place} has no field {field!r}; it has: {_there(value)}")
    if value is None:
        return Absent(f"{place}: field {field!r} is null")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise DataError(f"{place}: field {field!r} is {value!r:.60}, not a text")
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise DataError(
                f"{place}: field {field!r} has characters that are not Unicode (lone surrogates, "
                f"{error.object[error.start]!a})"
            ) from error
    return value


def _there(value: Any) -> str:
    if isinstance(value, Mapping):
        return shown(", ".join(value), 200)
    if isinstance(value, list):
        return f"a list of {len(value):,}"
    return shown(f"only {value!r:.200}", 200)


READERS: dict[str, Reader] = {
    "text": read_plain,
    "tsv": read_tsv,
    "csv": read_csv,
    "jsonl": read_json,
    "ndjson": read_json,
    "json": read_json,
    "sgm": read_segments,
    "xml": read_segments,
}
"""Readers by format, which is also the suffix of its files; other files are plain text."""

QUOTING: dict[str, dict[Reader, Reader]] = {
    "csv": {read_tsv: read_quoted_tsv},
    "none": {read_tsv: read_unquoted_tsv, read_csv: read_unquoted_csv},
}
"""For each `data.quoting`, which reader replaces a reader that detects quoting."""

DEFAULT_COLUMNS: dict[Reader, tuple[str | int, str | int]] = {
    **dict.fromkeys((read_tsv, read_quoted_tsv, read_unquoted_tsv), (0, 1)),
    **dict.fromkeys((read_csv, read_unquoted_csv, read_json, read_segments), ("source", "target")),
}
"""Default columns of source and target in files that have both."""

NAMED_COLUMNS = {read_json, read_segments}
"""Readers of files whose columns have names; for others, a single column is the first."""


def reader_for(path: Path, format: str | None = None, quoting: str | None = None) -> Reader:
    """Return the reader of a format, or of a file by its suffix.

    Raises:
        DataError: if there is no such format or quoting.
    """
    if format is not None and format not in READERS:
        raise DataError(f"data.format={format} is none of: {', '.join(READERS)}")
    if quoting is not None and quoting not in QUOTING:
        raise DataError(f"data.quoting={quoting} is none of: {', '.join(QUOTING)}")
    if format is None:
        suffixes = [suffix for suffix in path.suffixes if suffix.lower() not in OPENERS]
        format = suffixes[-1].lower().removeprefix(".") if suffixes else "text"
    reader = READERS.get(format, read_plain)
    return QUOTING.get(quoting or "", {}).get(reader, reader)
