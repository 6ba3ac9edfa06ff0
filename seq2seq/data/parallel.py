"""Parallel data: a corpus, encoded by subwords, served in batches."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset, DatasetDict
from numpy.typing import NDArray

from seq2seq.data.cache import cache_folder, column_key, content_key
from seq2seq.data.corpora.corpus import Corpus
from seq2seq.data.errors import DataError
from seq2seq.data.extended_ids import ExtendedIds
from seq2seq.data.labels import label_ids
from seq2seq.data.loaders import Encoded, EvaluationLoader, TrainLoader
from seq2seq.data.sequences import Sequences
from seq2seq.data.subwords import SubwordPair, seed_sampling
from seq2seq.data.vocabulary import Vocabulary
from seq2seq.data.vocabulary_building import build_subwords

logger = logging.getLogger(__name__)

ENCODING_VERSION = 1  # part of the cache's key: raise it when the same text yields other ids


def prepare(
    corpus: Corpus,
    *,
    subwords: Mapping[str, Any] | None = None,
    limits: Mapping[str, int | None] | None = None,
    labels: Sequence[str] | None = None,
    cache: str | Path | None = None,
) -> ParallelData:
    """Everything before the first batch: texts, subwords, ids.

    Args:
        corpus: the corpus.
        subwords: arguments of `build_subwords`, and `sampling` of `ParallelData`.
        limits: `max_source_length` and `max_target_length` of `ParallelData`.
        labels: names of the classes, of a corpus that has a column `label`.
        cache: folder to keep subword models and ids in; None for the default place.
    """
    texts = corpus.load()
    if "train" not in texts:
        raise DataError(f"the corpus has no split train, only: {', '.join(texts)}")
    settings = dict(subwords or {})
    sampling = settings.pop("sampling", None)
    pair = build_subwords(texts["train"], **settings, cache_folder=cache)
    data = ParallelData(
        texts, pair, **(limits or {}), sampling=sampling, labels=labels, cache=cache
    )
    data.unlabeled.update(getattr(corpus, "unlabeled", {}))
    return data


class ParallelData:
    """The splits of a corpus as texts and as batches of subword ids.

    Ids are made once per text and subword model and then memory-mapped from the cache.

    Args:
        corpus: the corpus, or its splits as `corpus.load()` returned them.
        subwords: the models of both sides.
        max_source_length: longer training sentences are left out (subwords without eos); None
            keeps all. Evaluation always keeps all.
        max_target_length: the same for the target side.
        sampling: `alpha` and `nbest` of `Subwords.encode`, to train on segmentations drawn anew
            each epoch; None, or an alpha of None, takes the best one always.
        labels: names of the classes of the column `label`, in the order of their numbers in a
            batch; None: examples have no classes.
        cache: folder to keep the ids in; None for the default place.

    Attributes:
        unlabeled: how many examples of each split were left out for want of a class, as the corpus
            counted them.
    """

    def __init__(
        self,
        corpus: Corpus | DatasetDict,
        subwords: SubwordPair,
        *,
        max_source_length: int | None = 256,
        max_target_length: int | None = 256,
        sampling: Mapping[str, Any] | None = None,
        labels: Sequence[str] | None = None,
        cache: str | Path | None = None,
    ) -> None:
        self.texts = corpus if isinstance(corpus, DatasetDict) else corpus.load()
        self.subwords = subwords
        self._limits = (max_source_length, max_target_length)
        self._sampling = dict(sampling or {})
        self.labels = None if labels is None else tuple(labels)
        self.unlabeled: dict[str, int] = dict(getattr(corpus, "unlabeled", {}))
        self._cache = cache_folder(cache)
        self._encoded: dict[str, Encoded] = {}

    @property
    def splits(self) -> list[str]:
        """The names of the splits."""
        return list(self.texts)

    def split(self, name: str) -> Dataset:
        """The texts of a split."""
        if name not in self.texts:
            raise DataError(f"there is no split {name!r}; there are: {', '.join(self.texts)}")
        return self.texts[name]

    def encoded(self, name: str) -> Encoded:
        """Both sides of a split as ids, without bos and eos."""
        if name not in self._encoded:
            keys = self._keys(name)
            ids = {c: self._ids(name, c, keys[c]) for c in keys}
            labels = self._label_ids(name)
            self._encoded[name] = Encoded(ids["source"], ids["target"], labels)
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
        """Shuffled training batches; see `TrainLoader` and `loader` for what the arguments mean."""
        sampling = self._sampling.get("alpha") is not None
        extended_ids = self._extended_ids("train", copying)

        def encode(seed: int, epoch: int) -> Encoded:
            encoded = self._sampled(seed, epoch) if sampling else self.encoded("train")
            return replace(encoded, extended_ids=extended_ids)

        return TrainLoader(
            encode,
            self._short_rows(),
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
        num_workers: int = 0,
        pin_memory: bool = False,
        copying: bool = False,
    ) -> EvaluationLoader:
        """All examples of a split (or the first so many), longest first.

        Nothing is left out; `batch.indices` gives the order back. With `copying`, for models that
        copy, words that the vocabulary lacks have ids too (`ExtendedIds`).
        """
        return EvaluationLoader(
            replace(self.encoded(split), extended_ids=self._extended_ids(split, copying)),
            tokens,
            sentences=sentences,
            num_workers=num_workers,
            pin_memory=pin_memory,
        )

    def _keys(self, name: str) -> dict[str, str]:
        """For each side, the name of its ids in the cache."""
        table = self.split(name).data
        return {
            column: content_key(
                ENCODING_VERSION, column_key(table[column]), getattr(self.subwords, column).model
            )
            for column in ("source", "target")
        }

    def _ids(self, name: str, column: str, key: str) -> Sequences:
        path = self._cache / "ids" / f"{key}.arrow"
        path.parent.mkdir(parents=True, exist_ok=True)
        subwords: Vocabulary = getattr(self.subwords, column)

        def encode(table: pa.Table) -> pa.Table:
            ids = subwords.encode_batch(table[column].to_pylist())
            offsets = np.cumsum([0, *map(len, ids)], dtype=np.int32)
            flat = np.concatenate([np.zeros(0, np.int32), *ids])
            return pa.table({"ids": pa.ListArray.from_arrays(offsets, flat)})

        def mapped() -> Dataset:
            texts = self.split(name).select_columns([column]).with_format("arrow")
            return texts.map(
                encode,
                batched=True,
                batch_size=10_000,
                remove_columns=[column],
                cache_file_name=str(path),
                load_from_cache_file=True,
                new_fingerprint=key,
                desc=f"subwords of {name} {column}",
            )

        try:
            ids = mapped()
        except pa.ArrowInvalid:  # the file in the cache is damaged
            path.unlink(missing_ok=True)
            ids = mapped()
        return Sequences.from_arrow(ids.data["ids"])

    def _label_ids(self, name: str) -> NDArray[np.int64] | None:
        return None if self.labels is None else label_ids(self.split(name), self.labels, name)

    def _extended_ids(self, split: str, copying: bool) -> ExtendedIds | None:
        if not copying:
            return None
        if not self.subwords.joint:
            raise DataError(
                "model.copying=true needs one vocabulary for both sides: set "
                "data.subwords.joint=true (and no target_model of its own), or model.copying=false"
            )
        return ExtendedIds(self.split(split), self.subwords.source)

    def _short_rows(self) -> NDArray[np.int64]:
        encoded = self.encoded("train")
        keep = np.ones(len(encoded.source), dtype=bool)
        for sequences, limit in zip((encoded.source, encoded.target), self._limits, strict=True):
            keep &= sequences.lengths <= (np.inf if limit is None else limit)
        if not keep.any():
            raise DataError(
                f"all {len(keep):,} training pairs are longer than data.limits.max_source_length="
                f"{self._limits[0]} or data.limits.max_target_length={self._limits[1]} subwords"
            )
        if not keep.all():
            logger.info(
                "%s of %s training pairs left out: longer than data.limits.max_source_length=%s or "
                "data.limits.max_target_length=%s subwords",
                f"{(~keep).sum():,}",
                f"{len(keep):,}",
                *self._limits,
            )
        return np.flatnonzero(keep)

    def _sampled(self, seed: int, epoch: int) -> Encoded:
        """The training split with segmentations drawn for this epoch; repeats for the same seed."""
        best = self.encoded("train")
        drawn = {}
        for number, column in enumerate(("source", "target")):
            texts: list[str] = self.split("train")[column][:]
            subwords: Vocabulary = getattr(self.subwords, column)
            limit = self._limits[number]
            seed_sampling([seed, epoch, number])
            ids = subwords.encode_batch(texts, sample=True, **self._sampling)
            shortest: Sequences = getattr(best, column)
            # A drawn segmentation may pass the limit that the best one kept.
            drawn[column] = Sequences.from_arrays(
                x if limit is None or len(x) <= limit else shortest[row]
                for row, x in enumerate(ids)
            )
        return Encoded(drawn["source"], drawn["target"], best.labels)
