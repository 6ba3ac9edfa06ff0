"""Reuters-21578: first sentences of newswire stories of 1987 and their titles."""

from __future__ import annotations

from typing import ClassVar

from seq2seq.data.corpora.headlines import Headlines


class Reuters(Headlines):
    """Pairs in the style of Gigaword, free for research, small enough for a laptop.

    `train.article` and `train.title`, and the same of `valid` and `test` (.txt or .gz).

    Args:
        root: the folder; None for `data/reuters` here, or `reuters` in the cache folder.
        style: rewrites both sides; None: nothing, for files that are in the style already.
        on_empty: "error" or "skip" pairs where a side is empty.
        cache_folder: where to keep the checked texts; None for the default place.
    """

    name = "reuters"
    title = "Reuters-21578"
    get_it = "Make it of the collection's SGML files by `python scripts/prepare_reuters.py FOLDER`"
    files: ClassVar = {
        "train": (("train.article", "train.title"),),
        "validation": (("valid.article", "valid.title"),),
        "test": (("test.article", "test.title"),),
    }
