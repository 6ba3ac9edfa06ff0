"""Warn about splits that do not match train: shared pairs and swapped sides."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import pyarrow.compute
from datasets import Dataset, DatasetDict

from seq2seq.data.corpora.corpus import SIDES

logger = logging.getLogger(__name__)

#: Warn if at least this share of a split's pairs is in train. Any text has short sentences that
#: occur elsewhere too.
LEAST_SHARE = 0.01
SAMPLE = 2000  # lines whose characters are compared
LEAST_DIFFERENCE = 0.2  # of shares of known character trigrams


def warn_of_splits(texts: DatasetDict) -> None:
    """Warn of pairs that a split shares with train, and of a split whose sides are swapped."""
    for name, split in texts.items():
        if name == "train":
            continue
        shared = pairs_in_both(texts["train"], split)
        if shared > 0 and shared >= LEAST_SHARE * len(split):
            logger.warning(
                "%s of %s pairs of the split %s are in train too, so its scores say less about new "
                "texts; remove them from one of the two",
                *(f"{shared:,}", f"{len(split):,}", name),
            )
        if are_swapped(texts["train"], split):
            logger.warning(
                "source and target of the split %s seem to be swapped: its sources are written "
                "like the targets of train, and its targets like the sources",
                name,
            )


def pairs_in_both(train: Dataset, split: Dataset) -> int:
    """Return the number of pairs of ``split`` that are in ``train``."""
    pairs = list(zip(split["source"], split["target"], strict=True))
    arrow = train.with_format("arrow")
    sources = pyarrow.array({source for source, _ in pairs}, type=pyarrow.string())
    mask = pyarrow.compute.is_in(arrow["source"][:].cast(pyarrow.string()), value_set=sources)
    rows = pyarrow.compute.indices_nonzero(mask).to_pylist()
    candidates = train.select(rows)
    known = set(zip(candidates["source"], candidates["target"], strict=True))
    return sum(pair in known for pair in pairs)


def are_swapped(train: Dataset, split: Dataset) -> bool:
    """Return True if both sides of ``split`` are written like the other side of ``train``.

    Compares the shares of character trigrams that occur in a sample of each side of ``train``.
    Sides in the same language hardly differ in them, so they never seem swapped.
    """
    known = {side: _trigrams(train[:SAMPLE][side]) for side in SIDES}
    own = {side: _trigrams(split[:SAMPLE][side]) for side in SIDES}

    def share(side: str, of_train: str) -> float:
        return len(own[side] & known[of_train]) / max(len(own[side]), 1)

    source, target = SIDES
    return all(
        share(side, other) > share(side, side) + LEAST_DIFFERENCE
        for side, other in ((source, target), (target, source))
    )


def _trigrams(lines: Iterable[str]) -> set[str]:
    return {line[k : k + 3] for line in lines for k in range(len(line) - 2)}
