"""What a run remembers of its making, for whoever publishes its model."""

from __future__ import annotations

import json
import logging
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from seq2seq import __version__
from seq2seq.data.corpora.corpus import Corpus
from seq2seq.data.parallel import ParallelData
from seq2seq.system.atomic_writing import write_atomically
from seq2seq.system.errors import DataError
from seq2seq.system.untrusted_files import LARGEST_JSON, parse_json, read_bounded
from seq2seq.system.untrusted_yaml import read_yaml

log = logging.getLogger(__name__)

PROVENANCE = "provenance.json"
#: Overrides that say where and how loudly, not what.
UNSAID = ("hydra.run.dir=", "hydra.output_subdir=", "hydra.sweep.", "debug=")


def write_provenance(folder: Path, corpus: Corpus, data: ParallelData) -> None:
    """Write what a corpus is, as it is trained on, and the versions, into a run folder.

    Log a warning if the run began with another number of threads, which changes the order of sums.
    """
    threads = torch.get_num_threads()
    before = _object(folder / PROVENANCE).get("threads", threads)
    if before != threads:
        log.warning(
            "the run in %s was computed by %s thread(s) so far, and goes on with %s: its numbers "
            "will differ in the last digits from those of a run without a stop; for the same "
            "numbers, set OMP_NUM_THREADS=%s",
            folder,
            before,
            threads,
            before,
        )
    known = {
        "languages": [corpus.source_language, corpus.target_language],
        "seq2seq": __version__,
        "torch": str(torch.__version__),
        "threads": threads,
        "examples": {name: len(data.split(name)) for name in data.splits},
    }
    write_atomically(folder / PROVENANCE, json.dumps(known, indent=2).encode())


def read_provenance(checkpoint: Path) -> dict[str, Any]:
    """What the run folder of a checkpoint directory knows; nothing where it stands alone.

    Returns:
        the entries of ``provenance.json``, ``parameters`` … of ``training.json``, and the
        ``command``, as far as they are there.
    """
    if checkpoint.parent.name != "checkpoints":
        return {}
    run = checkpoint.parent.parent
    found: dict[str, Any] = {}
    for name in ("training.json", PROVENANCE):
        found.update(_object(run / name))
    overrides = run / ".hydra" / "overrides.yaml"
    if overrides.is_file():
        given = read_yaml(overrides) or []
        found["command"] = command([str(item) for item in given])
    return found


def command(overrides: Sequence[str]) -> str:
    """``seq2seq-train`` with its arguments, as a shell takes them."""
    said = [item for item in overrides if not item.lstrip("+~").startswith(UNSAID)]
    return shlex.join(["seq2seq-train", *said])


def _object(path: Path) -> dict[str, Any]:
    """The entries of a file of JSON; none where there is none."""
    try:
        found = parse_json(read_bounded(path, LARGEST_JSON, "file of a run"))
    except (OSError, DataError):
        return {}
    return found if isinstance(found, dict) else {}
