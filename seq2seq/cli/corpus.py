"""The corpus that a trained model is shown: the one that ``data=`` names, or its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from seq2seq.cli.application import plain

if TYPE_CHECKING:
    from seq2seq.checkpoint import Checkpoint
    from seq2seq.data.corpora.corpus import Corpus


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


def own_corpus(checkpoint: Checkpoint, changes: dict[str, Any]) -> Corpus:
    """The corpus that a checkpoint was trained on, with changes to its arguments.

    A stranger's checkpoint may name local files to read, but neither a place to write nor anything
    to fetch.

    Raises:
        ValueError: if there is none, it would be fetched, or a change names no argument of it.
    """
    from seq2seq.checkpoint import build

    corpus = checkpoint.config.get("data", {}).get("corpus")
    if not isinstance(corpus, dict):
        raise ValueError(f"{checkpoint.folder}: its config.yaml has no data.corpus; give data=…")
    unknown = sorted(set(changes) - set(corpus))
    if unknown:
        raise ValueError(f"data.{unknown[0]} is not one of: {', '.join(sorted(set(corpus)))}")
    built = build({**_without_places(corpus), **changes})
    if place := getattr(built, "fetched", None):
        raise ValueError(
            f"the checkpoint's corpus is fetched from {place!r}; allow it by choosing the corpus "
            f"yourself, such as: data=hub data.path={place} …"
        )
    return built


def _without_places(node: Any) -> Any:
    """The same without the folders to write to, at any depth."""
    if isinstance(node, list):
        return [_without_places(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {key: _without_places(node[key]) for key in node if key != "cache_folder"}
