"""Download corpora of textual entailment (SNLI, MultiNLI, SICK) and verify them.

    python scripts/prepare_entailment.py sick
    python scripts/prepare_entailment.py snli multinli --folder data

Files that are there and right are kept, interrupted downloads go on where they stopped.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from seq2seq.data.download import RemoteFile, fetch
from seq2seq.data.unpacking import unpack
from seq2seq.system.errors import DataError


@dataclass(frozen=True)
class Published:
    """An archive, and patterns of what is needed of it."""

    archive: RemoteFile
    members: tuple[str, ...]


CORPORA = {
    "snli": Published(
        RemoteFile(
            "https://nlp.stanford.edu/projects/snli/snli_1.0.zip",
            94_550_081,
            "afb3d70a5af5d8de0d9d81e2637e0fb8c22d1235c2749d83125ca43dab0dbd3e",
        ),
        ("snli_1.0/snli_1.0_*.jsonl",),
    ),
    "multinli": Published(
        RemoteFile(
            "https://cims.nyu.edu/~sbowman/multinli/multinli_1.0.zip",
            226_850_426,
            "049f507b9e36b1fcb756cfd5aeb3b7a0cfcb84bf023793652987f7e7e0957822",
        ),
        ("multinli_1.0/multinli_1.0_*.jsonl",),
    ),
    "sick": Published(
        RemoteFile(
            "https://zenodo.org/record/2787612/files/SICK.zip?download=1",
            217_584,
            "da272af924399fc2de4889ed55383e38822c10d16c4a949a89d597d09a0b7912",
        ),
        ("*SICK.txt",),
    ),
}
"""Sizes and SHA-256 as `datasets` 1.x records them for these corpora."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpora", nargs="+", choices=[*CORPORA], help="which")
    parser.add_argument("--folder", type=Path, default=Path("data"), help="%(default)s")
    parser.add_argument("--mirror", help="a URL with the same files, to download from instead")
    options = parser.parse_args(arguments)
    for name in options.corpora:
        published, root = CORPORA[name], options.folder / name
        try:
            (archive,) = fetch([published.archive], root, mirror=options.mirror)
            paths = unpack(archive, root, published.members)
        except DataError as error:
            print(error, file=sys.stderr)
            return 1
        print(f"{len(paths)} files in {paths[0].parent} are complete and verified.")
        print(f"Next: seq2seq-train task=entailment data={name} data.root={root}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
