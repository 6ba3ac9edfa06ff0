"""Read lines of text files, compressed or not, with limits and with errors that name the line.

To support another compression, add its suffix and its `open` function to `OPENERS`.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from seq2seq.system.errors import DataError
from seq2seq.system.untrusted_files import bounded_lines, check_readable

OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
#: What a file that cannot be read or unpacked raises.
DAMAGES = (EOFError, lzma.LZMAError, zlib.error, OSError)
MARK = "\ufeff"  # the byte-order mark, which is not part of the text
UTF_16 = "is UTF-16; convert the file: iconv -f utf-16 -t utf-8 {name}"
BEGINNINGS = {
    b"\xff\xfe": UTF_16,
    b"\xfe\xff": UTF_16,
    b"\x1f\x8b": "is compressed with gzip; name the file {name}.gz",
    b"BZh": "is compressed with bzip2; name the file {name}.bz2",
    b"\xfd7zXZ": "is compressed with xz; name the file {name}.xz",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd; unpack it: zstd -d {name}",
    b"PK\x03\x04": "is a ZIP archive or a spreadsheet; unpack it, or save the sheet as CSV",
    b"PAR1": "is a Parquet file; read it with data=hub data.path=parquet, or save it as JSON lines",
}
"""First bytes of files that are not text, and advice for each kind."""


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    r"""Yield the lines of a UTF-8 file with their numbers, from 1.

    A line ends only at \n or \r\n, because texts may have U+2028, \x0b, \x85 and similar
    characters. The length of a line and the unpacked size of a compressed file are limited.

    Raises:
        DataError: if the file cannot be read, is not UTF-8, or exceeds a limit.
    """
    try:
        file = open_file(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    with file:
        yield from enumerate(decoded(bytes_of(file, path), path), start=1)


def open_file(path: Path) -> BinaryIO:
    """Open a file for reading; a file with the suffix of a compression is unpacked."""
    check_readable(path)
    file: BinaryIO = OPENERS.get(path.suffix.lower(), open)(path, "rb")
    return file


def bytes_of(file: BinaryIO, path: Path) -> Iterator[bytes]:
    """Yield the lines of an open file as bytes.

    Raises:
        DataError: if a line is too long, or the file cannot be read or unpacked to its end.
    """
    packed = path.suffix.lower() in OPENERS
    number = 0
    try:
        for line in bounded_lines(file, path, path.stat().st_size if packed else None):
            yield line
            number += 1
    except DAMAGES as error:
        raise DataError(f"{path} cannot be read after line {number:,}: {error}") from error


def read_beginning(path: Path, most_bytes: int) -> bytes:
    """Return the first bytes of a file, unpacked.

    Raises:
        DataError: if it cannot be read or unpacked.
    """
    try:
        with open_file(path) as file:
            return file.read(most_bytes)
    except DAMAGES as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def decoded(
    lines: Iterable[bytes], name: object, skip: Callable[[int, str], None] | None = None
) -> Iterator[str]:
    """Yield the lines as text, without line ends and byte-order mark.

    Args:
        lines: lines of a file or a stream.
        name: name of the file or stream, for messages.
        skip: is called with number and message of a line that is not UTF-8, in place of which an
            empty text is yielded; None: raise an error.

    Raises:
        DataError: if the file is no text, or at the first line that is not UTF-8.
    """
    for number, line in enumerate(lines, start=1):
        if number == 1 and (kind := _kind(line, name)):
            raise DataError(kind)
        try:
            text = line.decode("utf-8").removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError as error:
            file = str(name).rpartition("/")[2]
            message = (
                f"line {number:,} of {name} is not UTF-8 (byte {line[error.start]:#04x} at column "
                f"{error.start + 1}); convert the file, for instance with: "
                f"iconv -f latin1 -t utf-8 {file}"
            )
            if skip is None:
                raise DataError(message) from error
            skip(number, message)
            text = ""
        yield text.removeprefix(MARK) if number == 1 else text


def _kind(line: bytes, name: object) -> str | None:
    """Return what is wrong with a file if its first line is not text; else None."""
    file = str(name).rpartition("/")[2]
    for beginning, advice in BEGINNINGS.items():
        if line.startswith(beginning):
            return f"{name} {advice.format(name=file)}"
    if b"\0" in line.rstrip(b"\0"):
        return f"{name} has zero bytes, as in UTF-16; convert it to UTF-8 with iconv"
    return None
