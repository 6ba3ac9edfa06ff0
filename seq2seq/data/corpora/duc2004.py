"""DUC 2004 task 1, a test set: 500 first sentences of news with four headlines each."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from seq2seq.data.corpora.gigaword_style import GigawordStyle
from seq2seq.data.corpora.headlines import Headlines


class Duc2004(Headlines):
    """DUC 2004: a split test with the columns `target`, `target_2`, `target_3`, `target_4`.

    NIST lends the text to those who sign its agreement. The files are `input` and `task1_ref0` to
    `task1_ref3` (.txt or .gz), in the folder or its `DUC2004/`, as harvardnlp's `sent-summary` and
    the scripts of Rush et al. (2015) write them. Before scoring, Rush et al. replace a `#` in an
    output by a number of the sentence with as many digits. Here `#` stays and matches nothing.

    Args:
        root: the folder; None: `data/duc2004`, or `duc2004` in the cache folder.
        style: rewrites the sentences in the style of Gigaword; None: leave them unchanged.
        style_references: whether to rewrite the references, too. Published recall uses unchanged
            references, but loss and attention statistics need rewritten ones.
        cache_folder: cache folder for the checked texts; None: the default folder.
    """

    name = "duc2004"
    title = "DUC 2004"
    get_it = (
        "NIST lends it (https://duc.nist.gov); the files are those that DUC/setup.sh of "
        "https://github.com/facebookarchive/NAMAS writes"
    )
    folders = (".", "DUC2004", "sumdata/DUC2004", "clean_2004")
    files: ClassVar = {
        "test": (
            ("input", *(f"task1_ref{number}" for number in range(4))),
            ("input", *(f"references/task1_ref{number}" for number in range(4))),
        )
    }
    needed = ("test",)

    def __init__(
        self,
        root: str | Path | None = None,
        *,
        style: GigawordStyle | None = None,
        style_references: bool = False,
        cache_folder: str | Path | None = None,
    ) -> None:
        super().__init__(root, style=style, cache_folder=cache_folder)
        self.style_headlines = style_references
