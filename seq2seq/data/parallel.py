"""Parallel data: a corpus with its vocabularies, as texts, ids and batches."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, DatasetDict
from numpy.typing import NDArray

from seq2seq.data.cache import cache_folder, content_key, texts_key
from seq2seq.data.corpora.corpus import SIDES, Corpus
from seq2seq.data.encoding import drawn_column, encoded_column
from seq2seq.data.extended_ids import ExtendedIds
from seq2seq.data.filters import Filters
from seq2seq.data.holding_out import held_out
from seq2seq.data.labels import label_ids
from seq2seq.data.loaders import Encoded, EvaluationLoader, TrainLoader
from seq2seq.data.mixing import MixedRows, Mixing
from seq2seq.data.plan import Rows
from seq2seq.data.vocabulary_building import build_subwords
from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.system.errors import DataError
from seq2seq.system.processes import ALONE, Group

logger = logging.getLogger(__name__)

ENCODING_VERSION = 1  # part of the cache key: raise it if the same text yields other ids


def prepare(
    corpus: Corpus,
    *,
    subwords: Mapping[str, Any] | None = None,
    limits: Mapping[str, int | None] | None = None,
    filters: Mapping[str, Any] | None = None,
    processes: int | None = None,
    labels: Sequence[str] | None = None,
    validation_share: float | None = None,
    needed: Sequence[str] = (),
    cache: str | Path | None = None,
    check: Callable[[DatasetDict], None] | None = None,
) -> ParallelData:
    """Load a corpus, filter it, and build its vocabularies: all that training needs.

    Args:
        corpus: the corpus.
        subwords: arguments of `build_subwords`, and `sampling` of `ParallelData`.
        limits: `max_source_length` and `max_target_length` of `ParallelData`.
        filters: arguments of `Filters`, which training pairs must pass.
        processes: number of processes that encode texts; None: one per core.
        labels: names of the classes, if the corpus has a column `label`.
        validation_share: share of the training pairs to hold out, if there is no split validation.
        needed: names of the other splits that the corpus must have.
        cache: cache folder for vocabularies and ids; None: the default folder.
        check: function that raises or warns about texts before the vocabularies are built.

    Raises:
        DataError: if the corpus lacks a split, or an argument does not fit it.
    """
    texts = corpus.load()
    if "train" not in texts:
        raise DataError(
            f"the corpus has no split train, only {', '.join(texts)}; add its training files, or "
            "train on another corpus and score this one with seq2seq-evaluate"
        )
    if validation_share is not None:
        if "validation" in texts:
            raise DataError(
                f"data.validation_share={validation_share} holds out training pairs, but the "
                "corpus has a split validation already; remove one of them"
            )
        train, validation = held_out(texts["train"], validation_share, cache_folder(cache))
        texts = DatasetDict({**texts, "train": train, "validation": validation})
    _check_splits(texts, needed)
    if labels is not None:
        for name in texts:
            label_ids(texts[name], labels, name)
    if check is not None:
        check(texts)
    if filters:
        train = Filters(**filters).apply(texts["train"], cache_folder(cache))
        texts = DatasetDict({**texts, "train": train})
    settings = dict(subwords or {})
    sampling = settings.pop("sampling", None)
    pair = build_subwords(texts["train"], **settings, cache_folder=cache)
    data = ParallelData(
        texts,
        pair,
        **(limits or {}),
        sampling=sampling,
        mixing=getattr(corpus, "mixing", None),
        labels=labels,
        processes=processes,
        cache=cache,
    )
    data.unlabeled.update(getattr(corpus, "unlabeled", {}))
    return data


def _check_splits(texts: DatasetDict, needed: Sequence[str]) -> None:
    """Raise `DataError` if the corpus lacks a split that validation or the test needs."""
    there = ", ".join(texts)
    for name in needed:
        if name == "validation" and name not in texts:
            raise DataError(
                f"the corpus has no split validation, only {there}; set data.validation to its "
                "files, or hold out training pairs with data.validation_share=0.01"
            )
        if name not in texts:
            raise DataError(
                f"test.split={name}: the corpus has no such split, only {there}; set test.split to "
                "one of them, or to null to skip the test"
            )


class ParallelData:
    """The splits of a corpus as texts and as batches of subword ids.

    Texts are encoded once per vocabulary; the ids are then memory-mapped from the cache.

    Args:
        corpus: the corpus, or its splits as `corpus.load()` returned them.
        subwords: the vocabularies of both sides.
        max_source_length: drop training pairs with more source subwords (without eos); None: keep
            all. Evaluation never drops pairs.
        max_target_length: the same for the target side.
        sampling: `alpha` and `nbest` of `Subwords.encode`, to draw new segmentations for each
            epoch; None, or an alpha of None: always use the best segmentation.
        mixing: shares of the corpora that the training split's column `corpus` numbers; None:
            train on every pair once per epoch.
        processes: number of processes that encode texts; None: one per core.
        labels: names of the classes in the column `label`, in the order of their numbers in a
            batch; None: examples have no classes.
        cache: cache folder for the ids; None: the default folder.

    Attributes:
        unlabeled: for each split, how many examples the corpus dropped because they have no class.
    """

    def __init__(
        self,
        corpus: Corpus | DatasetDict,
        subwords: VocabularyPair,
        *,
        max_source_length: int | None = 256,
        max_target_length: int | None = 256,
        sampling: Mapping[str, Any] | None = None,
        mixing: Mixing | None = None,
        processes: int | None = None,
        labels: Sequence[str] | None = None,
        cache: str | Path | None = None,
    ) -> None:
        self.texts = corpus if isinstance(corpus, DatasetDict) else corpus.load()
        self.subwords = subwords
        self._limits = (max_source_length, max_target_length)
        self._sampling = dict(sampling or {})
        self._mixing, self._processes = mixing, processes
        self.labels = None if labels is None else tuple(labels)
        self.unlabeled: dict[str, int] = dict(getattr(corpus, "unlabeled", {}))
        self._cache = cache_folder(cache)
        self._encoded: dict[str, Encoded] = {}

    @property
    def splits(self) -> list[str]:
        """Names of the splits."""
        return list(self.texts)

    def split(self, name: str, sentences: int | None = None) -> Dataset:
        """Return the texts of a split, or only the first `sentences` of them."""
        if name not in self.texts:
            raise DataError(f"the corpus has no split {name!r}, only: {', '.join(self.texts)}")
        texts = self.texts[name]
        return texts if sentences is None else texts.select(range(min(sentences, len(texts))))

    def encoded(self, name: str) -> Encoded:
        """Return both sides of a split as ids, without bos and eos."""
        if name not in self._encoded:
            ids = {
                column: encoded_column(
                    self.split(name),
                    column,
                    getattr(self.subwords, column),
                    self._cache / "ids" / f"{key}.arrow",
                    processes=self._processes,
                    title=f"subwords of {name} {column}",
                )
                for column, key in self._keys(name).items()
            }
            self._encoded[name] = Encoded(ids["source"], ids["target"], self._label_ids(name))
        return self._encoded[name]

    def train_loader(
        self,
        tokens: int = 4096,
        *,
        max_sentences: int | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        num_workers: int = 0,
        pin_memory: bool = False,
        copying: bool = False,
    ) -> TrainLoader:
        """Return a loader of shuffled training batches; see `TrainLoader` and `loader`."""
        sampling = self._sampling.get("alpha") is not None
        extended_ids = self._extended_ids("train", copying)

        def encode(seed: int, epoch: int) -> Encoded:
            encoded = self._sampled(seed, epoch) if sampling else self.encoded("train")
            return replace(encoded, extended_ids=extended_ids)

        rows = self._short_rows()
        return TrainLoader(
            encode,
            rows if self._mixing is None else self._mixed(self._mixing, rows),
            tokens,
            key=content_key(*self._keys("train").values()),
            max_sentences=max_sentences,
            seed=seed,
            rank=rank,
            world_size=world_size,
            num_workers=num_workers,
            pin_memory=pin_memory,
            varying=sampling,
        )

    def loader(
        self,
        split: str,
        tokens: int = 4096,
        *,
        sentences: int | None = None,
        group: Group = ALONE,
        num_workers: int = 0,
        pin_memory: bool = False,
        copying: bool = False,
    ) -> EvaluationLoader:
        """Return a loader of all examples of a split, longest first.

        `batch.indices` tells the position of each example in the split.

        Args:
            split: name of the split.
            tokens: most slots of a batch, see `TrainLoader`.
            sentences: take only this many examples, from the beginning of the split; None: all.
            group: processes that share the batches.
            num_workers: processes that prepare batches; 0 prepares them in this process.
            pin_memory: yield batches in page-locked memory.
            copying: for models that copy: give words outside the vocabulary ids (`ExtendedIds`).
        """
        return EvaluationLoader(
            replace(self.encoded(split), extended_ids=self._extended_ids(split, copying)),
            tokens,
            sentences=sentences,
            group=group,
            num_workers=num_workers,
            pin_memory=pin_memory,
        )

    def _keys(self, name: str) -> dict[str, str]:
        """Return for each side the name of its ids in the cache."""
        split = self.split(name)
        return {
            column: content_key(
                ENCODING_VERSION,
                texts_key(split, column, self._cache),
                getattr(self.subwords, column).model,
            )
            for column in SIDES
        }

    def _label_ids(self, name: str) -> NDArray[np.int64] | None:
        return None if self.labels is None else label_ids(self.split(name), self.labels, name)

    def _extended_ids(self, split: str, copying: bool) -> ExtendedIds | None:
        if not copying:
            return None
        if not self.subwords.joint:
            raise DataError(
                "model.copying=true needs one vocabulary for both sides; set "
                "data.subwords.joint=true (without target_model), or model.copying=false"
            )
        return ExtendedIds(self.split(split), self.subwords.source)

    def _short_rows(self) -> Rows:
        encoded = self.encoded("train")
        keep = np.ones(len(encoded.source), dtype=bool)
        for sequences, limit in zip((encoded.source, encoded.target), self._limits, strict=True):
            if limit is not None:
                keep &= sequences.lengths <= limit
        if not keep.any():
            raise DataError(
                f"all {len(keep):,} training pairs are longer than data.limits.max_source_length="
                f"{self._limits[0]} or data.limits.max_target_length={self._limits[1]} subwords; "
                "raise the limits"
            )
        if not keep.all():
            logger.info(
                "%s of %s training pairs dropped: longer than data.limits.max_source_length=%s or "
                "data.limits.max_target_length=%s subwords",
                f"{(~keep).sum():,}",
                f"{len(keep):,}",
                *self._limits,
            )
        return np.flatnonzero(keep).astype(np.int32)

    def _mixed(self, mixing: Mixing, rows: Rows) -> MixedRows:
        """Return the rows of each corpus of the mixture, and log their shares."""
        numbers = self.split("train").data["corpus"].to_numpy()[rows]
        mixed = MixedRows(mixing, [rows[numbers == k] for k in range(len(mixing.names))])
        mixed.tell()
        return mixed

    def _sampled(self, seed: int, epoch: int) -> Encoded:
        """Draw segmentations of the training split for an epoch; they repeat for the same seed."""
        best = self.encoded("train")
        drawn = {
            column: drawn_column(
                self.split("train"),
                column,
                getattr(self.subwords, column),
                getattr(best, column),
                seed=[seed, epoch, number],
                limit=self._limits[number],
                sampling=self._sampling,
                folder=self._cache / "drawn",
            )
            for number, column in enumerate(SIDES)
        }
        return Encoded(drawn["source"], drawn["target"], best.labels)
