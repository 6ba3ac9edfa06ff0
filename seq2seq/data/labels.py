"""Turn the texts of a column `label` into class numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute
from datasets import Dataset
from numpy.typing import NDArray

from seq2seq.system.errors import DataError


def label_ids(texts: Dataset, labels: Sequence[str], split: str) -> NDArray[np.int64]:
    """Return the index of each example's label in `labels`, ignoring case.

    Args:
        texts: a split with a column `label`.
        labels: names of the classes.
        split: name of the split, for errors.

    Raises:
        DataError: if there is no such column, or a label is not in `labels`.
    """
    if "label" not in texts.column_names:
        mixed = " (of a mixture, each)" if "corpus" in texts.column_names else ""
        raise DataError(
            f"the split {split} has no column label, only {', '.join(texts.column_names)}: choose "
            f"a corpus of labeled pairs{mixed}, such as data=sick or data=nli, or another task"
        )
    column = texts.data["label"]
    names = pa.array([label.lower() for label in labels])
    indices = pa.compute.index_in(pa.compute.utf8_lower(column), names)
    if indices.null_count:
        row = pa.compute.is_null(indices).index(True).as_py()
        header = (indices.null_count, row) == (1, 0)
        raise DataError(
            f"the split {split} has {indices.null_count:,} label(s) that are none of "
            f"{', '.join(labels)}; the first is {column[row].as_py()!r}, of the premise "
            f"{texts[row]['source']!r}. task.labels names the classes of a new model; a trained "
            "one keeps its own"
            + ("; if that is a header, name its columns: data.label_column=…" if header else "")
        )
    return indices.to_numpy().astype(np.int64)
