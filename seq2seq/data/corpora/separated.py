"""Readers of columns between tabs or commas, with quotes as spreadsheets and pandas write them.

A field in quotes may hold separators, ends of lines and doubled quotes; Python's `csv` reads it. In
a TSV without such quoting a quote is text. Which one it is, `read_tsv` finds out.
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

SEPARATORS = (",", ";", "\t")  # of a CSV: spreadsheets use the second where the comma is decimal
LINES_LOOKED_AT = 100_000  # to tell whether a TSV is quoted
NEEDS_QUOTES = ("\t", "\n", '"', ",")  # Excel quotes fields with a comma in a TSV, too

NUMBER = re.compile(r"[-+0-9.,eE]*")

csv.field_size_limit(max(csv.field_size_limit(), LONGEST_LINE))

Fields = Iterator[tuple[int, list[str]]]
"""The fields of each record, and the number of the line in which it begins."""


def read_tsv(path: Path, columns: Sequence[str | int]) -> Fields:
    """Columns between tabs, by number from 0, or by the names that the first line gives.

    Quotes are those of CSV if all that stand at the start of a field look so.
    """
    quoted = is_quoted(path)
    if quoted:
        logger.info("%s has quoted fields; data.quoting=none reads quotes as text", path)
    return (read_quoted_tsv if quoted else read_unquoted_tsv)(path, columns)


def read_quoted_tsv(path: Path, columns: Sequence[str | int]) -> Fields:
    """Columns between tabs, quoted as in CSV where a field begins with a quote."""
    return _chosen(path, columns, _quoted(path, "\t"), "tabs")


def read_unquoted_tsv(path: Path, columns: Sequence[str | int]) -> Fields:
    """Columns between tabs; a quote is text."""
    return _chosen(path, columns, _unquoted(path, "\t"), "tabs")


def read_csv(path: Path, columns: Sequence[str | int]) -> Fields:
    """Columns between commas (or semicolons, or tabs: what parts the first line most)."""
    return _separated(path, columns, _quoted)


def read_unquoted_csv(path: Path, columns: Sequence[str | int]) -> Fields:
    """The same where a quote is text."""
    return _separated(path, columns, _unquoted)


def _separated(
    path: Path, columns: Sequence[str | int], read: Callable[[Path, str], Fields]
) -> Fields:
    def parts(separator: str) -> int:
        try:
            return len(next(read(path, separator), (0, []))[1])
        except DataError:  # quoted, but not between these
            return 0

    separator = max(SEPARATORS, key=parts)
    return _chosen(path, columns, read(path, separator), f"{separator!r}")


def _chosen(path: Path, columns: Sequence[str | int], rows: Fields, between: str) -> Fields:
    """The chosen columns of all records after the header, if one is chosen by its name."""
    if any(isinstance(column, str) for column in columns):
        header = next(rows, (0, [""]))[1]
        for column in columns:
            if isinstance(column, str) and column not in header:
                there = shown(", ".join(header), 200)
                raise DataError(
                    f"{path} has no column {shown(column)!r}; it has: {there}. Choose columns by "
                    "number, from 0, if that is no header"
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
    """The records by the rules of CSV; an empty line is one, of a single empty field."""
    lines = (f"{line}\n" for _, line in read_lines(path))
    records = csv.reader(lines, delimiter=separator, strict=True)
    begins = 1
    try:
        for fields in records:
            yield begins, fields or [""]
            begins = records.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"the record that begins in line {begins:,} of {path} is not quoted as CSV is "
            f"({error}); if quotes are text there, set data.quoting=none"
        ) from error


def is_quoted(path: Path) -> bool:
    """Whether the fields of a TSV are quoted as in CSV, as far as its first lines show.

    Every field that begins with a quote must be quoted well. And either only fields are quoted
    that need it, or all fields are, except numbers. A text in quotation marks is neither.
    """
    lines = [f"{line}\n" for _, line in islice(read_lines(path), LINES_LOOKED_AT)]
    if not any(line.startswith('"') or '\t"' in line for line in lines):
        return False
    found = needed = everywhere = 0
    begins, count = 0, 0
    records = csv.reader(lines, delimiter="\t", strict=True)
    try:
        for fields in records:
            text = "".join(lines[begins : records.line_num])
            begins, count = records.line_num, count + 1
            quoted, plain = _by_quotes(text, fields)
            found += bool(quoted)
            needed += all(any(c in field for c in NEEDS_QUOTES) for field in quoted)
            everywhere += all(NUMBER.fullmatch(field) for field in plain)
    except csv.Error:
        # The record that the last of the lines cuts off is no mistake.
        if records.line_num < LINES_LOOKED_AT:
            return False
    return found > 0 and count in (needed, everywhere)


def _by_quotes(text: str, fields: list[str]) -> tuple[list[str], list[str]]:
    """The fields that stand in quotes in the text of their record, and the others."""
    quoted, plain, start = list[str](), list[str](), 0
    for field in fields:
        if text[start : start + 1] == '"':
            quoted.append(field)
            start += len(field) + field.count('"') + 3  # its quotes and a tab
        else:
            plain.append(field)
            start += len(field) + 1
    return quoted, plain
