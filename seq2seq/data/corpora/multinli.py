"""MultiNLI: 433,000 premises from ten genres with hypotheses (Williams et al. 2018)."""

from __future__ import annotations

from seq2seq.data.corpora.labeled_pairs import FolderOfPairs, Layout
from seq2seq.data.corpora.readers import read_json
from seq2seq.data.corpora.separated import read_unquoted_tsv
from seq2seq.data.corpora.snli import GOLD

SPLITS = {
    "train": "train",
    "validation": "dev_matched",
    "test": "dev_matched",
    "test_mismatched": "dev_mismatched",
}


class MultiNli(FolderOfPairs):
    """MultiNLI 1.0 as published, JSON lines or text.

    The labels of its test sets are not public. As usual, `dev_matched` (genres of the training
    split) is the test split, and `dev_mismatched` (other genres) is the split `test_mismatched`.
    The validation split, which selects the checkpoint, is also `dev_matched`. So the test score is
    optimistic: it is the best of several scores on the same data.
    """

    name = "multinli"
    folders = (".", "multinli_1.0")
    layouts = (
        Layout("multinli_1.0_{}.jsonl", read_json, GOLD, SPLITS),
        Layout("multinli_1.0_{}.txt", read_unquoted_tsv, GOLD, SPLITS),
    )
    source = "Download it with `python scripts/prepare_entailment.py multinli`"
