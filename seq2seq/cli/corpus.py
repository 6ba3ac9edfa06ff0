"""The corpus for a trained model: the one of ``data=NAME``, or the one of its training."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from seq2seq.cli.application import plain

if TYPE_CHECKING:
    from seq2seq.checkpoint import Checkpoint
    from seq2seq.data.corpora.corpus import Corpus

log = logging.getLogger(__name__)


def chosen_corpus(data: DictConfig, checkpoint: Checkpoint) -> Corpus:
    """Return the corpus of ``data=NAME``, or that of the checkpoint with changes from ``data``.

    Raises:
        ValueError: see :func:`seq2seq.checkpoint.corpus.own_corpus`.
    """
    from hydra.utils import instantiate

    from seq2seq.checkpoint.corpus import own_corpus

    if "corpus" in data:
        return instantiate(data.corpus)
    changes = {key: value for key, value in plain(data).items() if key != "split"}
    return own_corpus(checkpoint, changes)


def corpus_name(corpus: Corpus) -> str:
    """Return the name of the class of a corpus, also of one that reads only what it may."""
    return type(getattr(corpus, "corpus", corpus)).__name__


def is_own_corpus(data: DictConfig, checkpoint: Checkpoint) -> bool:
    """Return True if ``data`` configures the corpus as the checkpoint's training did."""
    from seq2seq.checkpoint.corpus import same_corpus

    if "corpus" not in data:
        return not set(data) - {"split"}
    trained = checkpoint.config.get("data")
    corpus = trained.get("corpus") if isinstance(trained, dict) else None
    return same_corpus(plain(data, "corpus")["corpus"], corpus)


def warn_of_languages(corpus: Corpus, checkpoint: Checkpoint) -> None:
    """Warn if the languages of a corpus differ from those of the checkpoint's training corpus."""
    from seq2seq.publishing.provenance import read_provenance

    here = [corpus.source_language, corpus.target_language]
    there = read_provenance(checkpoint.folder).get("languages")
    if not isinstance(there, list) or len(there) != 2:  # published without its run folder
        data = checkpoint.config.get("data")
        trained = data.get("corpus") if isinstance(data, dict) else None
        trained = trained if isinstance(trained, dict) else {}
        there = [trained.get(f"{side}_language") for side in ("source", "target")]
    unnamed = {None, "source", "target"}  # the defaults of corpora without named languages
    if here != there and not unnamed & {*here, *there}:
        log.warning(
            "the corpus is %s → %s, but the checkpoint was trained on %s → %s", *here, *there
        )
