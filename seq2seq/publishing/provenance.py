"""Record how a run was made, for the card of its model."""

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
#: Overrides of paths and logging, which do not change the result.
UNSAID = ("hydra.run.dir=", "hydra.output_subdir=", "hydra.sweep.", "debug=")


def write_provenance(folder: Path, corpus: Corpus, data: ParallelData) -> None:
    """Write facts about the training corpus, and versions, into a run folder.

    Logs a warning if the run began with another number of threads, which changes the order of sums.
    """
    threads = torch.get_num_threads()
    before = _object(folder / PROVENANCE).get("threads", threads)
    if before != threads:
        log.warning(
            "the run in %s used %s thread(s) so far, and continues with %s, so its numbers will "
            "differ in the last digits from those of an uninterrupted run; for the same numbers, "
            "set OMP_NUM_THREADS=%s",
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
    """Read the provenance of a checkpoint from its run folder; {} if there is none.

    The run folder may come from anybody. An entry of another type counts as missing, and so does a
    file that is a link.

    Returns:
        the entries of ``provenance.json``, ``parameters`` … of ``training.json``, and the
        ``command``, if they exist.
    """
    if checkpoint.parent.name != "checkpoints":
        return {}
    run = checkpoint.parent.parent
    entries = {**_object(run / "training.json"), **_object(run / PROVENANCE)}
    known = {name: value for name, value in entries.items() if _fits(name, value)}
    known.pop("command", None)
    hydra = run / ".hydra"
    overrides = hydra / "overrides.yaml"
    if not hydra.is_symlink() and _is_plain(overrides):
        texts = read_yaml(overrides)
        if _is_list(texts, str):
            known["command"] = command(texts)
    return known


def _fits(name: str, value: Any) -> bool:
    """Return whether an entry has the type that its readers expect."""
    if name == "languages":
        return _is_list(value, str)
    if name == "examples":
        return isinstance(value, dict) and _is_list([*value.values()], int)
    return isinstance(value, str | int | float)


def _is_list(value: Any, kind: type) -> bool:
    return isinstance(value, list) and all(type(item) is kind for item in value)


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def command(overrides: Sequence[str]) -> str:
    """Return the command ``seq2seq-train`` with its arguments, quoted for a shell."""
    said = [item for item in overrides if not item.lstrip("+~").startswith(UNSAID)]
    return shlex.join(["seq2seq-train", *said])


def _object(path: Path) -> dict[str, Any]:
    """Return the entries of a JSON file; {} if it is missing, damaged or a link."""
    if not _is_plain(path):
        return {}
    try:
        content = parse_json(read_bounded(path, LARGEST_JSON, "file of a run"))
    except (OSError, DataError):
        return {}
    return content if isinstance(content, dict) else {}
