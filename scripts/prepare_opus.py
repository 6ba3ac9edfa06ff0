"""Download any parallel corpus of OPUS (https://opus.nlpl.eu) and lay it out.

    python scripts/prepare_opus.py Europarl v8 de-en
    python scripts/prepare_opus.py TED2020 v1 en-fr --held-out 1000

Names and versions are those of the corpus's page at OPUS. OPUS has no splits: validation and test
pairs are taken from the whole of the corpus at equal distances. OPUS publishes no checksums: the
archive is read through, and the SHA-256 of the first download is kept beside it for later runs to
verify by.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from seq2seq.data.corpora.layout import lay_out, spread
from seq2seq.data.corpora.lines import read_lines
from seq2seq.data.download import RemoteFile, fetch
from seq2seq.data.unpacking import unpack
from seq2seq.system.errors import DataError

SITE = "https://object.pouta.csc.fi"


def texts(path: Path) -> Iterator[str]:
    return (line for _, line in read_lines(path))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="of the corpus, such as Europarl")
    parser.add_argument("version", help="such as v8")
    parser.add_argument("pair", help="of languages, such as de-en")
    parser.add_argument("--root", type=Path, default=Path("data/opus"), help="%(default)s")
    parser.add_argument("--held-out", type=int, default=2000, help="pairs each (%(default)s)")
    parser.add_argument("--mirror", help="a URL with the same file, to download from instead")
    options = parser.parse_args(arguments)
    if not re.fullmatch(r"[\w.+-]+", options.name) or not re.fullmatch(r"[\w.-]+", options.version):
        parser.error("a name is like Europarl, a version like v8")
    languages = options.pair.split("-")
    if len(languages) != 2 or not all(re.fullmatch(r"\w+", x) for x in languages):
        parser.error("a pair is two language codes, such as de-en")
    pair = "-".join(sorted(languages))
    folder = options.root / options.name / options.pair
    url = f"{SITE}/OPUS-{options.name}/{options.version}/moses/{pair}.txt.zip"
    try:
        (archive,) = fetch([RemoteFile(url)], folder / "raw", mirror=options.mirror)
        paths = unpack(archive, folder / "raw", [f"*.{pair}.{language}" for language in languages])
        sides = [next(p for p in paths if p.suffix == f".{language}") for language in languages]
        total = sum(1 for _ in read_lines(sides[0]))
        counts = lay_out(
            [texts(side) for side in sides],
            languages,
            folder,
            ("train", "validation", "test"),
            spread(total, options.held_out),
        )
    except DataError as error:
        print(error, file=sys.stderr)
        return 1
    print(", ".join(f"{split}: {count:,} pairs" for split, count in counts.items()))
    source, target = languages
    print(
        f"Next: seq2seq-train data=opus data.name={options.name} data.source_language={source} "
        f"data.target_language={target}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
