"""Download WMT 2014 French–English (about 40 million pairs) and unpack it.

    python scripts/prepare_wmt14_fr_en.py
    python scripts/prepare_wmt14_fr_en.py --parts europarl,news-commentary

Files that are there and right are kept, interrupted downloads go on where they stopped. statmt.org
publishes no checksums: archives are read through, and the SHA-256 of the first download is kept
beside each (NAME.sha256) for later runs to verify by. Needs about 20 GB, of which the archives may
be deleted afterwards.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from seq2seq.data.download import RemoteFile, fetch
from seq2seq.data.unpacking import unpack
from seq2seq.system.errors import DataError

SITE = "https://www.statmt.org"
PARTS = {
    "europarl": ("wmt13/training-parallel-europarl-v7.tgz", "training/europarl-v7.fr-en.*"),
    "commoncrawl": ("wmt13/training-parallel-commoncrawl.tgz", "commoncrawl.fr-en.*"),
    "un": ("wmt13/training-parallel-un.tgz", "un/undoc.2000.fr-en.*"),
    "news-commentary": (
        "wmt14/training-parallel-nc-v9.tgz",
        "training/news-commentary-v9.fr-en.*",
    ),
    "giga": ("wmt10/training-giga-fren.tar", "giga-fren.release2.fixed.*"),
}
TESTS = {
    "validation": ("wmt14/dev.tgz", "dev/newstest2013.[ef][nr]"),
    "test": ("wmt14/test-full.tgz", "test-full/newstest2014-fren-*.sgm"),
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path("data/wmt14_fr_en"), help="%(default)s")
    parser.add_argument("--parts", default=",".join(PARTS), help="%(default)s")
    parser.add_argument("--mirror", help="a URL with the same files, to download from instead")
    options = parser.parse_args(arguments)
    parts = options.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"--parts: {', '.join(sorted(unknown))} is none of: {', '.join(PARTS)}")
    wanted = [PARTS[part] for part in parts] + list(TESTS.values())
    files = [RemoteFile(f"{SITE}/{path}") for path, _ in wanted]
    try:
        archives = fetch(files, options.root / "archives", mirror=options.mirror)
        for number, (archive, (_, members)) in enumerate(zip(archives, wanted, strict=True)):
            folder = options.root / "train" if number < len(parts) else options.root
            for path in unpack(archive, folder, [members]):
                print(path)
    except DataError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Next: seq2seq-train data=wmt14_fr_en data.root={options.root}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
