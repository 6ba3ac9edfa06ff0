"""SICK: 9,840 pairs of short descriptions, derived from captions by rules (Marelli et al. 2014)."""

from __future__ import annotations

from seq2seq.data.corpora.labeled_pairs import FolderOfPairs, Layout
from seq2seq.data.corpora.readers import read_tsv
from seq2seq.data.corpora.separated import read_unquoted_tsv

SENTENCES = ("sentence_A", "sentence_B")


class Sick(FolderOfPairs):
    """SICK: SICK.txt with its column SemEval_set, SemEval's files, or plain TSV.

    The trial split is the validation split. Sentence A is the premise.
    """

    name = "sick"
    folders = (".", "SICK")
    layouts = (
        Layout(
            "SICK.txt",
            read_unquoted_tsv,
            ("entailment_label", *SENTENCES),
            {"train": "TRAIN", "validation": "TRIAL", "test": "TEST"},
            split_column="SemEval_set",
        ),
        Layout(
            "SICK_{}.txt",
            read_unquoted_tsv,
            ("entailment_judgment", *SENTENCES),
            {"train": "train", "validation": "trial", "test": "test_annotated"},
        ),
        Layout(
            "{}.tsv",
            read_tsv,
            (0, 1, 2),
            {"train": "train", "validation": "dev", "test": "test"},
        ),
    )
    source = "Download it with `python scripts/prepare_entailment.py sick`"
    next_step = "seq2seq-train experiment=sick_decomposable data.root=DIR attention=sparsemax"
