"""Readers of columns separated by tabs or commas, quoted as spreadsheets and pandas write them.

A quoted field may have separators, line ends and doubled quotes; Python's `csv` reads it. In a TSV
without quoting, a quote is text. `read_tsv` detects which of these a file is.
"""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from seq2seq.data.corpora.lines import read_lines
from seq2seq.system.errors import DataError
from seq2seq.system.untrusted_files import LONGEST_LINE, shown

logger = logging.getLogger(__name__)

SEPARATORS = (",", ";", "\t")  # spreadsheets use ; in languages with a decimal comma
LINES_LOOKED_AT = 100_000  # to detect whether a TSV is quoted
NEEDS_QUOTES = ("\t", "\n", '"', ",")  # Excel quotes fields with a comma even in a TSV

NUMBER = re.compile(r"[-+0-9.,eE]*")

csv.field_size_limit(max(csv.field_size_limit(), LONGEST_LINE))

Fields = Iterator[tuple[int, list[str]]]
"""The number of the first line of each record, and its fields."""


def read_tsv(path: Path, columns: Sequence[str | int]) -> Fields:
    """Yield columns of a TSV, by number from 0, or by name in the first line.

    Quotes are read as in CSV if `is_quoted` detects such quoting.
    """
    quoted = is_quoted(path)
    if quoted:
        logger.info("%s has quoted fields; data.quoting=none reads quotes as text", path)
    return (read_quoted_tsv if quoted else read_unquoted_tsv)(path, columns)


def read_quoted_tsv(path: Path, columns: Sequence[str | int]) -> Fields:
    """Yield columns of a TSV; fields that begin with a quote are quoted as in CSV."""
    return _chosen(path, columns, _quoted(path, "\t"), "tabs")


def read_unquoted_tsv(path: Path, columns: Sequence[str | int]) -> Fields:
    """Yield columns of a TSV; quotes are text."""
    return _chosen(path, columns, _unquoted(path, "\t"), "tabs")


def read_csv(path: Path, columns: Sequence[str | int]) -> Fields:
    """Yield columns separated by comma, semicolon or tab, whichever occurs most in line 1."""
    return _separated(path, columns, _quoted)


def read_unquoted_csv(path: Path, columns: Sequence[str | int]) -> Fields:
    """Yield columns as `read_csv`, but quotes are text."""
    return _separated(path, columns, _unquoted)


def _separated(
    path: Path, columns: Sequence[str | int], read: Callable[[Path, str], Fields]
) -> Fields:
    def parts(separator: str) -> int:
        try:
            return len(next(read(path, separator), (0, []))[1])
        except DataError:  # the quotes do not match this separator
            return 0

    separator = max(SEPARATORS, key=parts)
    return _chosen(path, columns, read(path, separator), f"{separator!r}")


def _chosen(path: Path, columns: Sequence[str | int], rows: Fields, between: str) -> Fields:
    """Yield the chosen columns; the first line is a header if a column is chosen by name."""
    if any(isinstance(column, str) for column in columns):
        header = next(rows, (0, [""]))[1]
        for column in columns:
            if isinstance(column, str) and column not in header:
                there = shown(", ".join(header), 200)
                raise DataError(
                    f"{path} has no column {shown(column)!r}; it has: {there}. If that is not a "
                    "header, choose columns by number, from 0"
                )
        columns = [header.index(c) if isinstance(c, str) else c for c in columns]
    places = [int(column) for column in columns]
    last = max(places)
    for number, fields in rows:
        if last >= len(fields):
            raise DataError(
                f"line {number:,} of {path} has {len(fields)} column(s) between {between}; "
                f"column {last} (counted from 0) is missing"
            )
        yield number, [fields[place] for place in places]


def _unquoted(path: Path, separator: str) -> Fields:
    for number, line in read_lines(path):
        yield number, line.split(separator)


def _quoted(path: Path, separator: str) -> Fields:
    """Yield the records of a CSV; an empty line is a record with a single empty field."""
    lines = (f"{line}\n" for _, line in read_lines(path))
    records = csv.reader(lines, delimiter=separator, strict=True)
    begins = 1
    try:
        for fields in records:
            yield begins, fields or [""]
            begins = records.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"the record that begins in line {begins:,} of {path} is not quoted as in CSV "
            f"({error}); if quotes are text there, set data.quoting=none"
        ) from error


def is_quoted(path: Path) -> bool:
    """Return True if the fields of a TSV seem to be quoted as in CSV, from its first lines.

    Every field that begins with a quote must be quoted correctly. Also, either only fields that
    need quotes have them, or all fields except numbers. A text in quotation marks meets neither.
    """
    lines = [f"{line}\n" for _, line in islice(read_lines(path), LINES_LOOKED_AT)]
    if not any(line.startswith('"') or '\t"' in line for line in lines):
        return False
    quoted_records = needed = everywhere = 0
    begins, count = 0, 0
    records = csv.reader(lines, delimiter="\t", strict=True)
    try:
        for fields in records:
            text = "".join(lines[begins : records.line_num])
            begins, count = records.line_num, count + 1
            quoted, plain = _by_quotes(text, fields)
            quoted_records += bool(quoted)
            needed += all(any(c in field for c in NEEDS_QUOTES) for field in quoted)
            everywhere += all(NUMBER.fullmatch(field) for field in plain)
    except csv.Error:
        # The last line may cut off a record, which is not an error.
        if records.line_num < LINES_LOOKED_AT:
            return False
    return quoted_records > 0 and count in (needed, everywhere)


def _by_quotes(text: str, fields: list[str]) -> tuple[list[str], list[str]]:
    """Return the fields that are quoted in the text of their record, and the others."""
    quoted, plain, start = list[str](), list[str](), 0
    for field in fields:
        if text[start : start + 1] == '"':
            quoted.append(field)
            start += len(field) + field.count('"') + 3  # its quotes and a tab
        else:
            plain.append(field)
            start += len(field) + 1
    return quoted, plain
