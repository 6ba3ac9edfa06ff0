"""The corpus that a trained model is shown: the one that ``data=`` names, or its own."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from seq2seq.cli.application import plain

if TYPE_CHECKING:
    from seq2seq.checkpoint import Checkpoint
    from seq2seq.data.corpora.corpus import Corpus

log = logging.getLogger(__name__)


def chosen_corpus(data: DictConfig, checkpoint: Checkpoint) -> Corpus:
    """The corpus of ``data=NAME``, or else that of the checkpoint, with the changes of ``data``.

    Raises:
        ValueError: see `own_corpus`.
    """
    from hydra.utils import instantiate

    if "corpus" in data:
        return instantiate(data.corpus)
    changes = {key: value for key, value in plain(data).items() if key != "split"}
    return own_corpus(checkpoint, changes)


def is_own_corpus(data: DictConfig, checkpoint: Checkpoint) -> bool:
    """Return True if ``data`` configures the corpus as the checkpoint's training did."""
    if "corpus" not in data:
        return not set(data) - {"split"}
    trained = checkpoint.config.get("data")
    corpus = trained.get("corpus") if isinstance(trained, dict) else None
    return _without_places(plain(data, "corpus")["corpus"]) == _without_places(corpus)


def warn_of_languages(corpus: Corpus, checkpoint: Checkpoint) -> None:
    """Warn if a corpus names other languages than the one that the checkpoint was trained on."""
    from seq2seq.publishing.provenance import read_provenance

    here = [corpus.source_language, corpus.target_language]
    there = read_provenance(checkpoint.folder).get("languages")
    if not isinstance(there, list) or len(there) != 2:  # published without its run folder
        data = checkpoint.config.get("data")
        trained = data.get("corpus") if isinstance(data, dict) else None
        trained = trained if isinstance(trained, dict) else {}
        there = [trained.get(f"{side}_language") for side in ("source", "target")]
    unnamed = {None, "source", "target"}  # the defaults of corpora whose user named none
    if here != there and not unnamed & {*here, *there}:
        log.warning(
            "the corpus is %s → %s, and the checkpoint was trained on %s → %s", *here, *there
        )


def own_corpus(checkpoint: Checkpoint, changes: dict[str, Any]) -> Corpus:
    """The corpus that a checkpoint was trained on, with changes to its arguments.

    An untrusted checkpoint may name neither a place to write nor anything to fetch. Of local files
    its corpus reads those that a :class:`Confinement` allows, and refuses the others when it is
    built or loaded. A checkpoint that was trained here may read what it read then.

    Raises:
        ValueError: if there is none, it would be fetched, it would read a folder that nobody here
            has asked for, or a change names no argument of it.
    """
    from seq2seq.checkpoint import CheckpointError, build, check_targets
    from seq2seq.checkpoint.building import target_class
    from seq2seq.checkpoint.confinement import ConfinedCorpus, Confinement
    from seq2seq.system.untrusted_files import confined

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
    confinement = Confinement(corpus, changes)
    with confined(confinement.refusal):
        built = _local(build(wanted))
    return ConfinedCorpus(built, confinement)


def _local(corpus: Corpus) -> Corpus:
    """Refuse a corpus that would be fetched."""
    if place := getattr(corpus, "fetched", None):
        raise ValueError(
            f"the checkpoint's corpus is fetched from {place!r}; allow it by choosing the corpus "
            f"yourself, such as: data=hub data.path={place} …"
        )
    return corpus


def remember_corpus(corpus: dict[str, Any]) -> None:
    """Note that the user of this machine has trained on a corpus, so that `own_corpus` opens it."""
    from seq2seq.system.atomic_writing import write_atomically

    try:
        write_atomically(_record(corpus), b"trained on\n")
    except OSError as error:
        log.warning("evaluation will ask for the corpus (data=…): %s", error)


def _record(corpus: dict[str, Any]) -> Path:
    """In the user's cache, where no stranger writes; named by what the configuration says."""
    from seq2seq.data.cache import cache_folder, content_key

    return cache_folder(None) / "trained" / content_key("corpus", _without_places(corpus))


def _without_places(node: Any) -> Any:
    """The same without the folders to write to, at any depth."""
    if isinstance(node, list):
        return [_without_places(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {key: _without_places(node[key]) for key in node if key != "cache_folder"}
