"""Download IWSLT 2014 German–English (160,000 pairs of TED talks) and lay it out.

    python scripts/prepare_iwslt14_de_en.py

The splits are those that most papers report (fairseq's prepare-iwslt14.sh, before its tokenization
and cleaning): every 23rd pair of the training file is validation, the test set is dev2010, dev2012,
tst2010, tst2011 and tst2012 together. The archive has no published checksum: it is read through,
and the SHA-256 of the first download is kept beside it for later runs to verify by.
"""

from __future__ import annotations

import argparse
import itertools
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from seq2seq.data.corpora.layout import lay_out
from seq2seq.data.corpora.lines import read_lines
from seq2seq.data.corpora.readers import read_segments
from seq2seq.data.download import RemoteFile, fetch
from seq2seq.data.unpacking import unpack
from seq2seq.system.errors import DataError

ARCHIVE = RemoteFile("https://dl.fbaipublicfiles.com/fairseq/data/iwslt14/de-en.tgz")
LANGUAGES = ("de", "en")
TESTS = ("TED.dev2010", "TEDX.dev2012", "TED.tst2010", "TED.tst2011", "TED.tst2012")
EVERY = 23
MARKUP = re.compile(r"\s*</?(url|keywords|speaker|talkid|reviewer|translator|doc)\b")
KEPT = re.compile(r"</?(title|description)>")


def talk(path: Path) -> Iterator[str]:
    """Yield the text of a training file with titles and descriptions, without metadata."""
    for _, line in read_lines(path):
        if not MARKUP.match(line):
            yield KEPT.sub("", line).strip()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path("data/iwslt14_de_en"), help="%(default)s")
    parser.add_argument("--mirror", help="a URL with the same file, to download from instead")
    options = parser.parse_args(arguments)
    raw = options.root / "raw"
    try:
        (archive,) = fetch([ARCHIVE], raw, mirror=options.mirror)
        unpack(archive, raw, ["de-en/train.tags.de-en.*", "de-en/IWSLT14.TED*.de-en.*.xml"])
        counts = lay_out(
            [talk(raw / "de-en" / f"train.tags.de-en.{x}") for x in LANGUAGES],
            LANGUAGES,
            options.root,
            ("train", "validation"),
            lambda number: "validation" if (number + 1) % EVERY == 0 else "train",
        )
        counts |= lay_out(
            [_tests(raw / "de-en", language) for language in LANGUAGES],
            LANGUAGES,
            options.root,
            ("test",),
            lambda _: "test",
        )
    except DataError as error:
        print(error, file=sys.stderr)
        return 1
    print(", ".join(f"{split}: {count:,} pairs" for split, count in counts.items()))
    print(f"Next: seq2seq-train data=iwslt14_de_en data.root={options.root}")
    return 0


def _tests(folder: Path, language: str) -> Iterator[str]:
    paths = [folder / f"IWSLT14.{name}.de-en.{language}.xml" for name in TESTS]
    rows = itertools.chain.from_iterable(read_segments(path, [0]) for path in paths)
    return (texts[0] for _, texts in rows)


if __name__ == "__main__":
    sys.exit(main())
