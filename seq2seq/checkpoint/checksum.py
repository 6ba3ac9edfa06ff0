"""Write and verify the checksum of a file, in a file beside it that ``sha256sum -c`` reads."""

from __future__ import annotations

import hashlib
from pathlib import Path

from seq2seq.checkpoint.building import CheckpointError
from seq2seq.system.untrusted_files import read_bounded

LARGEST = 4096  # bytes of a checksum file


def checksum_file(path: Path) -> Path:
    """Return the path of the checksum file of ``path``."""
    return path.with_name(f"{path.name}.sha256")


def write_checksum(path: Path) -> None:
    """Write the checksum of a file beside it."""
    checksum_file(path).write_text(f"{_digest(path)}  {path.name}\n", encoding="ascii")


def check(path: Path) -> None:
    """Verify a file by its checksum, if it has one; checkpoints of early versions have none.

    Raises:
        CheckpointError: if the checksum differs.
    """
    beside = checksum_file(path)
    if not beside.is_file():
        return
    expected = read_bounded(beside, LARGEST, "checksum").split(maxsplit=1)[:1]
    if expected != [_digest(path).encode()]:
        raise CheckpointError(
            f"{path} is damaged: its checksum is not the one in {beside.name}. Copy the folder "
            "again, or use another checkpoint of the run; remove that file if you changed the "
            "weights yourself"
        )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
