"""Reuters-21578: first sentences of newswire stories of 1987 and their titles."""

from __future__ import annotations

from typing import ClassVar

from seq2seq.data.corpora.headlines import Headlines


class Reuters(Headlines):
    """Reuters-21578: headlines in the style of Gigaword, free for research, for a laptop.

    The files are `train.article` and `train.title`, and the same for `valid` and `test` (.txt or
    .gz).

    Args:
        root: the folder; None: `data/reuters`, or `reuters` in the cache folder.
        style: rewrites both sides; None: leave them unchanged, for files in that style.
        on_empty: "error" or "skip", for pairs with an empty side.
        cache_folder: cache folder for the checked texts; None: the default folder.
    """

    name = "reuters"
    title = "Reuters-21578"
    get_it = "Make it from the SGML files with `python scripts/prepare_reuters.py FOLDER`"
    files: ClassVar = {
        "train": (("train.article", "train.title"),),
        "validation": (("valid.article", "valid.title"),),
        "test": (("test.article", "test.title"),),
    }
