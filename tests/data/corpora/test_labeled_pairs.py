"""Corpora of premises and hypotheses, in every layout in which they are published."""

import gzip
import json
import logging

import pytest

from seq2seq.data.corpora.multinli import MultiNli
from seq2seq.data.corpora.nli import Nli
from seq2seq.data.corpora.sick import Sick
from seq2seq.data.corpora.snli import Snli
from seq2seq.data.corpora.snli_cad import SnliCad
from seq2seq.system.errors import DataError

PAIRS = [
    ("entailment", "A man runs.", "A man moves."),
    ("-", "A man runs.", "He has a dog."),
    ("neutral", 'He said "stop".', "He is late."),
]
KEPT = {
    "label": ["entailment", "neutral"],
    "source": ["A man runs.", 'He said "stop".'],
    "target": ["A man moves.", "He is late."],
}


def json_lines(pairs):
    names = ("gold_label", "sentence1", "sentence2")
    records = (dict(zip(names, pair, strict=True), pairID="1") for pair in pairs)
    return "".join(f"{json.dumps(record)}\n" for record in records)


def table(pairs, header="gold_label\tpairID\tsentence1\tsentence2\textra"):
    rows = [header, *(f"{label}\t7\t{p}\t{h}\t" for label, p, h in pairs)]
    return "".join(f"{row}\n" for row in rows)


def plain(pairs):
    return "".join("\t".join(pair) + "\n" for pair in pairs)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    packed = path.suffix == ".gz"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("snli_1.0_{}.jsonl", json_lines),
        ("snli_1.0/snli_1.0_{}.txt", table),
        ("{}.tsv.gz", plain),
        ("{}.tsv", plain),
    ],
)
def test_snli_in_each_layout(tmp_path, name, text, caplog):
    caplog.set_level(logging.INFO)
    for split in ("train", "dev", "test"):
        write(tmp_path / name.format(split), text(PAIRS))
    for _ in range(2):  # read from the files, and from the cache
        corpus = Snli(tmp_path)
        assert {split: rows[:] for split, rows in corpus.load().items()} == {
            "train": KEPT,
            "validation": KEPT,
            "test": KEPT,
        }
        assert corpus.unlabeled == {"train": 1, "validation": 1, "test": 1}
    assert "1 of 3 pairs of the split test have no label (-)" in caplog.text


def test_snli_without_a_training_file(tmp_path):
    write(tmp_path / "snli_1.0_test.jsonl", json_lines(PAIRS))
    assert list(Snli(tmp_path).load()) == ["test"]


def test_multinli_has_two_test_sets(tmp_path):
    for number, split in enumerate(("train", "dev_matched", "dev_mismatched")):
        write(tmp_path / f"multinli_1.0_{split}.jsonl", json_lines(PAIRS * (number + 1)))
    sizes = {split: len(rows) for split, rows in MultiNli(tmp_path).load().items()}
    assert sizes == {"train": 2, "validation": 4, "test": 4, "test_mismatched": 6}


SICK = [
    ("ENTAILMENT", "A", "B", "TRAIN"),
    ("NEUTRAL", "C", "D", "TRIAL"),
    ("NEUTRAL", "E", "F", "TEST"),
]


def test_sick_in_one_file(tmp_path):
    lines = ["pair_ID\tsentence_A\tsentence_B\tentailment_label\trelatedness_score\tSemEval_set"]
    lines += [f"1\t{a}\t{b}\t{label}\t4.5\t{part}" for label, a, b, part in SICK]
    write(tmp_path / "SICK.txt", "\n".join(lines) + "\n")
    splits = Sick(tmp_path).load()
    assert {s: rows[0]["source"] for s, rows in splits.items()} == {
        "train": "A",
        "validation": "C",
        "test": "E",
    }
    assert splits["train"][0]["label"] == "ENTAILMENT"


def test_sick_in_the_files_of_semeval(tmp_path):
    header = "pair_ID\tsentence_A\tsentence_B\trelatedness_score\tentailment_judgment\n"
    for name in ("train", "trial", "test_annotated"):
        write(tmp_path / f"SICK_{name}.txt", f"{header}1\t{name}\tB\t4.5\tNEUTRAL\n")
    assert {s: rows[0]["source"] for s, rows in Sick(tmp_path).load().items()} == {
        "train": "train",
        "validation": "trial",
        "test": "test_annotated",
    }


@pytest.mark.parametrize("layout", ["folders", "names"])
def test_counterfactual_snli(tmp_path, layout):
    between = "/" if layout == "folders" else "."
    text = table if layout == "folders" else plain
    for part in ("revised_combined", "original"):
        for split in ("train", "dev", "test"):
            write(tmp_path / f"{part}{between}{split}.tsv", text(PAIRS))
    splits = SnliCad(tmp_path).load()
    assert list(splits) == ["train", "validation", "test", "test_original"]
    assert splits["test_original"][:] == KEPT


def test_an_empty_folder_says_how_to_get_the_corpus(tmp_path):
    with pytest.raises(DataError) as error:
        Snli(tmp_path).load()
    for part in (str(tmp_path), "snli_1.0_train.jsonl", "prepare_entailment.py snli", "data.root"):
        assert part in str(error.value)


# The user's own files


def test_own_files_of_each_format(tmp_path):
    write(tmp_path / "a.tsv", plain(PAIRS))
    fields = {"label": "x", "premise": "p", "hypothesis": "h"}
    write(tmp_path / "b.jsonl.gz", json.dumps(fields) + "\n")
    write(tmp_path / "c.txt", table(PAIRS))
    assert Nli(train=str(tmp_path / "a.tsv")).load()["train"][:] == KEPT
    assert Nli(test=[tmp_path / "b.jsonl.gz"]).load()["test"][:] == {
        "label": ["x"],
        "source": ["p"],
        "target": ["h"],
    }
    named = Nli(
        tests={"hard": tmp_path / "c.txt"},
        format="tsv",
        label_column="gold_label",
        premise_column="sentence1",
        hypothesis_column=3,
    )
    assert named.load()["hard"][:] == KEPT


def test_no_mark_of_no_label(tmp_path):
    write(tmp_path / "a.tsv", plain(PAIRS))
    corpus = Nli(train=tmp_path / "a.tsv", no_label=None)
    assert corpus.load()["train"]["label"][:] == ["entailment", "-", "neutral"]
    assert corpus.unlabeled == {"train": 0}


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a\tb\n", {}, r"line 1 of .*2 column\(s\)"),
        ("\tA\tB\n", {}, "line 1 of .* has no label"),
        ("x\tA\t \n", {}, "line 1 of .* is empty"),
        ("-\tA\tB\n", {}, "there is no sentence pair"),
        ("x\tA\tB\n", {"label_column": "gold"}, "no column 'gold'"),
        ("x\tA\tB\n", {"format": "text"}, "data.format=tsv"),
    ],
)
def test_bad_files_are_refused_by_line_and_cause(tmp_path, text, options, message):
    write(tmp_path / "a.tsv", text)
    with pytest.raises(DataError, match=message):
        Nli(train=tmp_path / "a.tsv", **options).load()


def test_missing_and_unsuited_files_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"data\.test: there is no file"):
        Nli(test=tmp_path / "none.tsv").load()
    with pytest.raises(DataError, match="no files are set"):
        Nli().load()
    with pytest.raises(DataError, match=r"data\.train must be files"):
        Nli(train={"source": "a", "target": "b"}).load()


def test_published_corpora(external_corpora):
    """SICK, SNLI and its counterfactual revision, in the layout in which they lie there."""
    sizes = {
        kind: {s: len(rows) for s, rows in kind(external_corpora / folder).load().items()}
        for kind, folder in ((Sick, "sick"), (Snli, "snli"), (SnliCad, "snli-cad"))
    }
    assert sizes == {
        Sick: {"train": 4500, "validation": 500, "test": 4927},
        Snli: {"validation": 9842, "test": 9824},
        SnliCad: {"train": 6664, "validation": 800, "test": 1600, "test_original": 400},
    }
