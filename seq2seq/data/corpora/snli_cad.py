"""SNLI, counterfactually augmented: small edits that change the label (Kaushik et al. 2020)."""

from __future__ import annotations

from seq2seq.data.corpora.labeled_pairs import FolderOfPairs, Layout
from seq2seq.data.corpora.readers import read_tsv
from seq2seq.data.corpora.snli import GOLD

REVISED = {
    "train": "revised_combined{}train",
    "validation": "revised_combined{}dev",
    "test": "revised_combined{}test",
    "test_original": "original{}test",
}


class SnliCad(FolderOfPairs):
    """Pairs of SNLI whose premise or hypothesis people revised so that another label is true.

    The splits are those of `revised_combined`; `test_original` has the original SNLI pairs of the
    test split.
    """

    name = "snli_cad"
    folders = (".", "NLI")
    layouts = (
        Layout("{}.tsv", read_tsv, GOLD, {k: v.format("/") for k, v in REVISED.items()}),
        Layout("{}.tsv", read_tsv, (0, 1, 2), {k: v.format(".") for k, v in REVISED.items()}),
    )
    source = (
        "Put the folder NLI of https://github.com/acmi-lab/counterfactually-augmented-data there"
    )
