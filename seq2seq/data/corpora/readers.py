"""Readers of one file each: lines, columns, JSON, segments; packed or not.

A reader takes a path and the names of its columns and yields `(line number, texts)`. To add a
format: write a reader, and name its suffixes in `READERS`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from seq2seq.data.corpora.lines import OPENERS, open_file, read_lines
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
    """The empty text of a record without one.

    Attributes:
        problem: what is wrong with the record.
    """

    problem: str

    def __new__(cls, problem: str) -> Absent:
        """An empty text."""
        text = super().__new__(cls)
        text.problem = problem
        return text


def read_plain(path: Path, columns: Sequence[str | int]) -> Iterator[Row]:
    """One text a line."""
    for number, line in read_lines(path):
        yield number, [line]


def read_segments(path: Path, columns: Sequence[str | int]) -> Iterator[Row]:
    """The segments of a test set in SGML or XML; see `TestSet.rows` for the columns."""
    return TestSet((line for _, line in read_lines(path)), path).rows(columns)


def read_json(path: Path, columns: Sequence[str | int]) -> Iterator[Row]:
    """One JSON object a line, or a list of objects, by names of fields.

    `translation.en` is the field of a field, `summaries.0` the first element of a list. In a list,
    the number of a row is that of its object.
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
    """Whether the first character of the file that is no blank is that of a list."""
    with open_file(path) as file:
        return file.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"["


def _listed(path: Path) -> Iterator[tuple[int, Any, str]]:
    with open_file(path) as file:
        content = file.read(MOST_UNPACKED + 1)
    if len(content) > MOST_UNPACKED:
        raise DataError(
            f"{path} is a JSON list of more than {MOST_UNPACKED:,} bytes, which is too large to be "
            "read as a whole; write an object a line (jq -c '.[]')"
        )
    try:
        records = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: {error}") from error
    for number, record in enumerate(records, start=1):
        yield number, record, f"object {number:,} of {path}"


def pick(record: Any, field: str, place: str) -> str:
    """The text at a field of a record; `Absent` if it is missing or null. A number is its digits.

    A dotted name is that of a field, or a path: to a field's field, or to an element of a list.
    """
    value = record
    whole = isinstance(record, Mapping) and field in record
    for name in [field] if whole else field.split("."):
        if isinstance(value, Mapping) and name in value:
            value = value[name]
        elif isinstance(value, Sequence) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return Absent(f"{place} has no field {field!r}; there is: {_there(value)}")
    if value is None:
        return Absent(f"{place}: field {field!r} is null")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
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
"""Readers by name of the format, which is also the suffix of its files; others are plain text."""

QUOTING: dict[str, dict[Reader, Reader]] = {
    "csv": {read_tsv: read_quoted_tsv},
    "none": {read_tsv: read_unquoted_tsv, read_csv: read_unquoted_csv},
}
"""For each `data.quoting` the readers that take the place of those that find it out."""

DEFAULT_COLUMNS: dict[Reader, tuple[str | int, str | int]] = {
    **dict.fromkeys((read_tsv, read_quoted_tsv, read_unquoted_tsv), (0, 1)),
    **dict.fromkeys((read_csv, read_unquoted_csv, read_json, read_segments), ("source", "target")),
}
"""Where source and target are in files that hold both."""

NAMED_COLUMNS = {read_json, read_segments}
"""Readers of files whose columns have names; of the others, a single column is the first."""


def reader_for(path: Path, format: str | None = None, quoting: str | None = None) -> Reader:
    """The reader of a format, or of a file by its suffix."""
    if format is not None and format not in READERS:
        raise DataError(f"data.format={format} is none of: {', '.join(READERS)}")
    if quoting is not None and quoting not in QUOTING:
        raise DataError(f"data.quoting={quoting} is none of: {', '.join(QUOTING)}")
    if format is None:
        suffixes = [suffix for suffix in path.suffixes if suffix.lower() not in OPENERS]
        format = suffixes[-1].lower().removeprefix(".") if suffixes else "text"
    reader = READERS.get(format, read_plain)
    return QUOTING.get(quoting or "", {}).get(reader, reader)
