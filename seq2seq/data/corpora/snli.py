"""SNLI: 570,000 premises and hypotheses written by people (Bowman et al. 2015)."""

from __future__ import annotations

from seq2seq.data.corpora.labeled_pairs import FolderOfPairs, Layout
from seq2seq.data.corpora.readers import read_json, read_tsv
from seq2seq.data.corpora.separated import read_unquoted_tsv

SPLITS = {"train": "train", "validation": "dev", "test": "test"}
GOLD = ("gold_label", "sentence1", "sentence2")


class Snli(FolderOfPairs):
    """SNLI 1.0 as published (JSON lines or text), or as label, premise, hypothesis in TSV.

    785 training pairs, 158 validation pairs and 176 test pairs have no gold label (`-`) and are
    dropped, as usual. To evaluate only, you do not need the training file.
    """

    name = "snli"
    folders = (".", "snli_1.0")
    layouts = (
        Layout("snli_1.0_{}.jsonl", read_json, GOLD, SPLITS),
        Layout("snli_1.0_{}.txt", read_unquoted_tsv, GOLD, SPLITS),
        Layout("{}.tsv", read_tsv, (0, 1, 2), SPLITS),
    )
    source = "Download it with `python scripts/prepare_entailment.py snli`"
    next_step = "seq2seq-train experiment=niculae2017_snli data.root=DIR task.embeddings=GLOVE"
