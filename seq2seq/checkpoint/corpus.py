"""The corpus that a checkpoint was trained on, and the files of it that may be read."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from seq2seq.checkpoint.allowed_files import ConfinedCorpus, Confinement
from seq2seq.checkpoint.building import (
    CheckpointError,
    build,
    check_ranges,
    check_targets,
    target_class,
)
from seq2seq.checkpoint.directory import Checkpoint
from seq2seq.data.cache import cache_folder, content_key
from seq2seq.data.corpora.corpus import Corpus
from seq2seq.system.atomic_writing import write_atomically
from seq2seq.system.untrusted_files import confined

log = logging.getLogger(__name__)


def own_corpus(checkpoint: Checkpoint, changes: dict[str, Any]) -> Corpus:
    """Build the corpus that a checkpoint was trained on, with changes to its arguments.

    The corpus of an untrusted checkpoint may not write or download anything. It reads only the
    local files that a :class:`Confinement` allows; it raises an error for others when it is built
    or loaded. If :func:`remember_corpus` has noted the corpus, it may read any local file.

    Raises:
        ValueError: if the checkpoint has no corpus, the corpus would be downloaded, it would read
            a file that is not allowed, or a change is not one of its arguments.
    """
    data = checkpoint.config.get("data")
    corpus = data.get("corpus") if isinstance(data, dict) else None
    if not isinstance(corpus, dict):
        raise ValueError(f"{checkpoint.folder}: its config.yaml has no data.corpus; give data=…")
    unknown = sorted(set(changes) - set(corpus))
    if unknown:
        names = ", ".join(sorted(map(str, corpus)))
        raise ValueError(f"data.{unknown[0]} is not one of: {names}")
    wanted = {**_without_places(corpus), **changes}
    kind = target_class(corpus.get("_target_"), "config.yaml: data.corpus._target_")
    if not hasattr(kind, "load"):
        raise CheckpointError(f"{checkpoint.folder}: config.yaml: {kind.__name__} is no corpus")
    if _record(corpus).is_file():
        return _local(build(wanted))
    check_targets(corpus, "config.yaml: data.corpus")
    check_ranges(corpus, "data.corpus")
    confinement = Confinement(corpus, changes)
    with confined(confinement.refusal):
        built = _local(build(wanted))
    return ConfinedCorpus(built, confinement)


def _local(corpus: Corpus) -> Corpus:
    """Return the corpus; raise an error if it would be downloaded."""
    if place := getattr(corpus, "fetched", None):
        raise ValueError(
            f"the checkpoint's corpus is fetched from {place!r}; allow it by choosing the corpus "
            f"yourself, such as: data=hub data.path={place} …"
        )
    return corpus


def remember_corpus(corpus: dict[str, Any]) -> None:
    """Note that this user has trained on a corpus, so that :func:`own_corpus` trusts it."""
    try:
        write_atomically(_record(corpus), b"trained on\n")
    except OSError as error:
        log.warning("evaluation will ask for the corpus (data=…): %s", error)


def _record(corpus: dict[str, Any]) -> Path:
    """Return the file that notes a corpus; it is in the cache, where only this user writes."""
    return cache_folder(None) / "trained" / content_key("corpus", _without_places(corpus))


def same_corpus(one: Any, other: Any) -> bool:
    """Return True if two configurations of a corpus differ at most in folders to write to."""
    return _without_places(one) == _without_places(other)


def _without_places(node: Any) -> Any:
    """Return the configuration without the folders to write to, at any depth."""
    if isinstance(node, list):
        return [_without_places(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {key: _without_places(node[key]) for key in node if key != "cache_folder"}
