"""Hold out a share of the training pairs for validation."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from datasets import Dataset

from seq2seq.data.cache import content_key, open_table, texts_key
from seq2seq.data.filters import write_rows
from seq2seq.system.errors import DataError

logger = logging.getLogger(__name__)


def held_out(split: Dataset, share: float, folder: Path, seed: int = 0) -> tuple[Dataset, Dataset]:
    """Split training pairs into pairs for training and for validation, by seed and texts alone.

    Args:
        split: the training split.
        share: share of its pairs to hold out; at least one pair.
        folder: the cache folder, which keeps both results.
        seed: seed of the draw.

    Returns:
        the pairs for training, and those for validation.

    Raises:
        DataError: if either would be empty.
    """
    count = max(1, round(share * len(split))) if 0 < share < 1 else len(split)
    if count >= len(split):
        raise DataError(
            f"data.validation_share={share} of {len(split):,} training pairs leaves no pair to "
            "train on; set it between 0 and 1, such as 0.01"
        )
    drawn = np.zeros(len(split), np.bool_)
    drawn[np.random.default_rng(seed).permutation(len(split))[:count]] = True
    texts = [texts_key(split, column, folder) for column in split.column_names]
    tables = []
    for name, rows in (("train", ~drawn), ("validation", drawn)):
        key = content_key("held out", split.column_names, texts, count, seed, name)
        path = folder / "texts" / f"{key}.arrow"
        table = open_table(path)
        if table is None:
            write_rows(split, rows, path)
            table = Dataset.from_file(str(path))
        tables.append(table)
    logger.info(
        "%s of %s training pairs are held out for validation (data.validation_share=%s)",
        f"{count:,}",
        f"{len(split):,}",
        share,
    )
    return tables[0], tables[1]
