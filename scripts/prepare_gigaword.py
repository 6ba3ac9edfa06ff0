"""Lay out the Gigaword summarization corpus from what you have, and verify it.

    python scripts/prepare_gigaword.py summary.tar.gz
    python scripts/prepare_gigaword.py FOLDER --root data/gigaword

The text derives from LDC Gigaword and cannot be shipped. Known are, as a folder or as an archive
(.tar, .tar.gz, .zip): the release of harvardnlp/sent-summary, that of UniLM, and files named like
the result, which is train, valid and test .article.gz and .title.gz. Nothing is rewritten;
data=gigaword makes lower case, # digits and one mark of rare words when it reads.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from seq2seq.data.corpora.gigaword import Gigaword
from seq2seq.data.corpora.gigaword_style import UNKNOWN
from seq2seq.data.corpora.headlines import SUFFIXES
from seq2seq.system.atomic_writing import replacing

RESULT = {"train": "train", "validation": "valid", "test": "test"}
PUBLISHED = {"train": 3_803_957, "validation": 189_651, "test": 1_951}


class LayoutError(Exception):
    """What was given is not the corpus; the message is for the user."""


class Folder:
    """The files of a folder by their relative paths."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.names = [p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file()]

    def open(self, name: str) -> IO[bytes]:
        return (self.path / name).open("rb")


class Archive:
    """The files of a tar or zip archive; they are streamed, nothing is unpacked to disk."""

    def __init__(self, path: Path) -> None:
        self._archive: tarfile.TarFile | zipfile.ZipFile
        if zipfile.is_zipfile(path):
            self._archive = zipfile.ZipFile(path)
            self.names = [n for n in self._archive.namelist() if not n.endswith("/")]
        elif tarfile.is_tarfile(path):
            self._archive = tarfile.open(path)  # noqa: SIM115 - read until the script ends
            self.names = [m.name for m in self._archive.getmembers() if m.isfile()]
        else:
            raise LayoutError(f"{path} is neither a folder nor a tar or zip archive")

    def open(self, name: str) -> IO[bytes]:
        if isinstance(self._archive, zipfile.ZipFile):
            return self._archive.open(name)
        file = self._archive.extractfile(name)
        assert file is not None
        return file


def find(names: list[str], split: str) -> tuple[str, str]:
    """Article and title file of a split: the likeliest naming, the folder nearest to the top.

    Raises:
        LayoutError: if there are none.
    """
    folders = sorted({PurePosixPath(name).parent for name in names}, key=lambda p: len(p.parts))
    known = {PurePosixPath(name): name for name in names}
    for wanted in Gigaword.files[split]:
        for folder in folders:
            if "DUC" in str(folder).upper():  # names its files as the Gigaword test set does
                continue
            paths = [
                next((known[p] for s in SUFFIXES if (p := folder / (name + s)) in known), None)
                for name in wanted
            ]
            if all(paths):
                return str(paths[0]), str(paths[1])
    wanted_names = ", or ".join(" and ".join(pair) for pair in Gigaword.files[split])
    listing = ", ".join(sorted(names)[:12]) + (", …" if len(names) > 12 else "")
    raise LayoutError(
        f"no files of the {split} split: looked for {wanted_names} (.txt or .gz); "
        f"there is: {listing or 'nothing'}"
    )


@contextmanager
def lines(source: Folder | Archive, name: str) -> Iterator[Iterator[bytes]]:
    """Yield the lines of a file, which may be compressed."""
    with source.open(name) as file:
        yield iter(gzip.GzipFile(fileobj=file)) if name.endswith(".gz") else iter(file)


def copy(source: Folder | Archive, pair: tuple[str, str], paths: list[Path]) -> dict[str, float]:
    """Write both files of a split, line by line; count pairs, words, marks of rare words.

    Raises:
        LayoutError: if they are not parallel, not UTF-8, or a line is empty.
    """
    counts = dict.fromkeys(("pairs", "article words", "title words", "unknown"), 0.0)
    with (
        lines(source, pair[0]) as articles,
        lines(source, pair[1]) as titles,
        replacing(paths[0]) as first,
        replacing(paths[1]) as second,
        gzip.open(first, "wb", 6) as packed_articles,
        gzip.open(second, "wb", 6) as packed_titles,
    ):
        for number, both in enumerate(itertools.zip_longest(articles, titles), start=1):
            if None in both:
                shorter = pair[both.index(None)]
                raise LayoutError(
                    f"{pair[0]} and {pair[1]} are not parallel: {shorter} ends before line "
                    f"{number:,}"
                )
            for name, line, side in zip(pair, both, ("article", "title"), strict=True):
                _count(name, number, line, counts, side)
            packed_articles.write(both[0].rstrip(b"\r\n") + b"\n")
            packed_titles.write(both[1].rstrip(b"\r\n") + b"\n")
            counts["pairs"] += 1
    return counts


def _count(name: str, number: int, line: bytes, counts: dict[str, float], side: str) -> None:
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise LayoutError(f"line {number:,} of {name} is not UTF-8: {error}") from error
    words = text.split()
    if not words:
        raise LayoutError(
            f"line {number:,} of {name} is empty; take it out of both files, or give the filtered "
            "ones (valid.article.filter.txt)"
        )
    counts[f"{side} words"] += len(words)
    if "unk" in text or "UNK" in text:
        counts["unknown"] += len(UNKNOWN.findall(text))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="folder or archive that holds the corpus")
    parser.add_argument("--root", type=Path, default=Path("data/gigaword"), help="%(default)s")
    options = parser.parse_args(arguments)
    try:
        if not options.source.exists():
            raise LayoutError(f"there is no {options.source.absolute()}")
        source = Folder(options.source) if options.source.is_dir() else Archive(options.source)
        found = {split: find(source.names, split) for split in RESULT}
        options.root.mkdir(parents=True, exist_ok=True)
        for split, pair in found.items():
            paths = [options.root / f"{RESULT[split]}.{x}.gz" for x in ("article", "title")]
            print(f"{split}: {pair[0]}, {pair[1]}")
            _report(split, copy(source, pair, paths))
    except LayoutError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Next: seq2seq-train task=summarization data=gigaword data.root={options.root}")
    return 0


def _report(split: str, counts: dict[str, float]) -> None:
    words = counts["article words"] + counts["title words"]
    pairs = int(counts["pairs"])
    print(
        f"  {pairs:,} pairs, {counts['article words'] / max(pairs, 1):.1f} and "
        f"{counts['title words'] / max(pairs, 1):.1f} words a line, "
        f"{100 * counts['unknown'] / max(words, 1):.2f} % of them unk"
    )
    if pairs != PUBLISHED[split]:
        print(f"  (the published split has {PUBLISHED[split]:,} pairs)")


if __name__ == "__main__":
    sys.exit(main())
