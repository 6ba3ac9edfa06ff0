"""Mixtures: several corpora as one, each with a share of the training pairs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from datasets import Dataset, DatasetDict, concatenate_datasets

from seq2seq.data.cache import cache_folder as default_cache_folder
from seq2seq.data.corpora.corpus import Corpus
from seq2seq.data.filters import Filters
from seq2seq.data.mixing import Mixing
from seq2seq.system.errors import DataError


class _NamedCorpus(TypedDict):
    corpus: Corpus


class Part(_NamedCorpus, total=False):
    """A corpus of a mixture; other keys are ignored."""

    filters: Mapping[str, Any] | None


class Mixture:
    """A mixture of corpora, whose training splits are concatenated.

    The training split has the columns that all corpora have, and a column `corpus` with the number
    of each pair's corpus.

    Validation and test are those of one corpus. The other splits are named `NAME_SPLIT`, such as
    `news_test`, so that you can evaluate on them.

    Args:
        corpora: for each name `{"corpus": corpus, "filters": its filters or None}`, as in a file of
            configs/data; other keys are ignored.
        weights: share of each corpus in training, see `Mixing`.
        temperature: see `Mixing`.
        evaluation: name of the corpus for validation and test; None: the first corpus with a
            validation split.
        cache_folder: cache folder for filtered texts; None: the default folder.

    Attributes:
        unlabeled: after `load`, how many pairs of each split were dropped without a label.
    """

    def __init__(
        self,
        corpora: Mapping[str, Part],
        *,
        weights: Mapping[str, float] | None = None,
        temperature: float = 1.0,
        evaluation: str | None = None,
        cache_folder: str | Path | None = None,
    ) -> None:
        if not corpora:
            raise DataError(
                "the mixture is empty; add corpora with +data@data.corpora.NAME=CORPUS, such as "
                "+data@data.corpora.captions=multi30k"
            )
        if evaluation is not None and evaluation not in corpora:
            raise DataError(f"data.evaluation={evaluation} is none of: {', '.join(corpora)}")
        self.mixing = Mixing(list(corpora), weights, temperature)
        self.unlabeled: dict[str, int] = {}
        self._corpora, self._evaluation = corpora, evaluation
        self._cache = default_cache_folder(cache_folder)
        first = next(iter(corpora.values()))["corpus"]
        self.source_language, self.target_language = first.source_language, first.target_language
        self.next_step = "other shares: data.temperature=5"

    @property
    def fetched(self) -> str | None:
        """Name on the hub of the first corpus that is fetched; None if none is."""
        places = (getattr(part["corpus"], "fetched", None) for part in self._corpora.values())
        return next(filter(None, places), None)

    def load(self) -> DatasetDict:
        """Return the splits.

        Raises:
            DataError: if a corpus cannot be used, or none has a validation split.
        """
        train: list[Dataset] = []
        splits: dict[str, Dataset] = {}
        for number, (name, part) in enumerate(self._corpora.items()):
            try:
                texts = part["corpus"].load()
                if "train" not in texts:
                    raise DataError("it has no split train")
                split = Filters(**(part.get("filters") or {})).apply(
                    texts["train"], self._cache, f"data.corpora.{name}.filters"
                )
            except DataError as error:
                raise DataError(f"data.corpora.{name}: {error}") from error
            train.append(split.add_column("corpus", np.full(len(split), number, np.int8)))
            splits |= {f"{name}_{other}": texts[other] for other in texts if other != "train"}
            for other, count in getattr(part["corpus"], "unlabeled", {}).items():
                self.unlabeled[f"{name}_{other}"] = count
        named = [self._evaluation] if self._evaluation else list(self._corpora)
        chosen = next((name for name in named if f"{name}_validation" in splits), None)
        if chosen is None:
            raise DataError(f"none of these corpora has a validation split: {', '.join(named)}")
        plain = {
            split: splits[f"{chosen}_{split}"]
            for split in ("validation", "test")
            if f"{chosen}_{split}" in splits
        }
        for split in plain:
            self.unlabeled[split] = self.unlabeled.get(f"{chosen}_{split}", 0)
        shared = [c for c in train[0].column_names if all(c in x.column_names for x in train)]
        whole = concatenate_datasets([split.select_columns(shared) for split in train])
        return DatasetDict({"train": whole, **plain, **splits})
