"""Corpora of articles and headlines, in all their published layouts."""

import gzip
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from seq2seq.data import DataError
from seq2seq.data.corpora.duc2004 import Duc2004
from seq2seq.data.corpora.gigaword import Gigaword
from seq2seq.data.corpora.gigaword_style import GigawordStyle
from seq2seq.data.corpora.reuters import Reuters

CONFIGS = Path(__file__).parents[3] / "configs"


def write(folder, **files):
    """Files of a line that tells their name; `suffix` is put behind each name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, line in files.items():
        path = folder / name
        with gzip.open(path, "wb") if path.suffix == ".gz" else path.open("wb") as file:
            file.write(f"{line}\n".encode())


def rows(split):
    return [tuple(row.values()) for row in split]


def composed(*overrides):
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return instantiate(compose(overrides=list(overrides)).data.corpus)


SIDES = ("article", "title")
FILTERED = "train.article train.title valid.article.filter valid.title.filter".split()
SAMPLE = "train10k valid1k test1951".split()
LAYOUTS = {
    "prepared": {
        ".": [f"{split}.{side}.gz" for split in ("train", "valid", "test") for side in SIDES],
    },
    "sample": {".": [f"{split}.{side}.gz" for split in SAMPLE for side in SIDES]},
    "sent-summary": {
        "sumdata/train": [f"{x}.txt" for x in FILTERED],
        "sumdata/Giga": ["input.txt", "task1_ref0.txt"],
    },
    "unilm": {
        "org_data": [
            f"{x}.{side}.txt" for x in ("train", "dev", "test") for side in ("src", "tgt")
        ],
    },
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_gigaword_is_found_in_every_known_layout(tmp_path, layout):
    for folder, names in LAYOUTS[layout].items():
        write(tmp_path / folder, **{name: name for name in names})
    corpus = Gigaword(tmp_path).load()
    expected = [name for names in LAYOUTS[layout].values() for name in names]
    found = [row for split in ("train", "validation", "test") for row in rows(corpus[split])]
    assert found == [tuple(expected[k : k + 2]) for k in (0, 2, 4)]


def test_the_filtered_validation_files_are_preferred_as_in_published_work(tmp_path):
    for folder, names in LAYOUTS["sent-summary"].items():
        write(tmp_path / folder, **{name: name for name in names})
    write(
        tmp_path / "sumdata/train", **{f"valid.{x}.txt": "unfiltered" for x in ("article", "title")}
    )
    assert rows(Gigaword(tmp_path).load()["validation"]) == [
        ("valid.article.filter.txt", "valid.title.filter.txt")
    ]


def test_gigaword_from_the_library_of_datasets(tmp_path):
    for split in ("train", "validation", "test"):
        write(tmp_path, **{f"{split}.jsonl": f'{{"document": "UNK {split} 7", "summary": "s"}}'})
    corpus = composed("+data=gigaword", f"data.dataset={tmp_path}").load()
    assert rows(corpus["train"]) == [("<unk> train #", "s")]
    assert list(corpus) == ["train", "validation", "test"]


def test_a_missing_split_is_reported_with_its_files_and_how_to_get_them(tmp_path):
    write(tmp_path, **{"train.article.gz": "a", "train.title.gz": "b"})
    with pytest.raises(DataError) as error:
        composed("+data=gigaword", f"data.root={tmp_path}").load()
    message = str(error.value)
    assert f"not complete in {tmp_path}: the split validation lacks its files" in message
    assert "valid.article.filter and valid.title.filter or" in message
    assert "scripts/prepare_gigaword.py FOLDER" in message


def test_gigaword_in_its_style(tmp_path):
    for split in ("train", "valid", "test"):
        write(
            tmp_path,
            **{f"{split}.article.gz": "UNK Corp. rose 1.5 pct", f"{split}.title.gz": "unk Up"},
        )
    corpus = composed("+data=gigaword", f"data.root={tmp_path}").load()
    assert rows(corpus["test"]) == [("<unk> corp. rose #.# pct", "<unk> up")]
    plain = composed("+data=gigaword", f"data.root={tmp_path}", "data.corpus.style=null").load()
    assert rows(plain["test"]) == [("UNK Corp. rose 1.5 pct", "unk Up")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("UNK , [UNK] <unk> unk", "<unk> , <unk> <unk> <unk>"),
        ("drunk unk.inc UNKS", "drunk unk.inc unks"),
        ("In 1,234.5  years\t(or so)", "in #,###.# years (or so)"),
    ],
)
def test_style_of_tokenized_text(text, expected):
    assert GigawordStyle()(text) == expected


def test_style_of_ordinary_text():
    text = "Cambodia's leader didn't say ``no'' (yet), in 1998."
    expected = "cambodia 's leader did n't say `` no '' -lrb- yet -rrb- , in #### ."
    assert GigawordStyle(tokenize=True)(text) == expected


def test_every_rule_of_the_style_can_be_left_out():
    kept = GigawordStyle(lowercase=False, digits=False, unknown=None)
    assert kept("UNK Rose 7 %") == "UNK Rose 7 %"
    assert GigawordStyle(unknown="UNK")("<unk> rose") == "UNK rose"


@pytest.mark.parametrize("folder", [".", "DUC2004", "sumdata/DUC2004"])
def test_duc_has_one_split_with_four_references(tmp_path, folder):
    files = {f"task1_ref{number}.txt": f"Reference {number}" for number in range(4)}
    write(tmp_path / folder, **{"input.txt": "Prices rose 5 %, he said."}, **files)
    corpus = composed("+data=duc2004", f"data.root={tmp_path}").load()
    assert list(corpus) == ["test"]
    assert corpus["test"].column_names == ["source", "target", "target_2", "target_3", "target_4"]
    assert rows(corpus["test"]) == [
        ("prices rose # % , he said .", *(f"Reference {number}" for number in range(4)))
    ]


def test_duc_references_in_the_style_if_asked(tmp_path):
    files = {f"task1_ref{number}.txt": f"Up {number}%" for number in range(4)}
    write(tmp_path / "references", **files)
    write(tmp_path, **{"input.txt": "Up."})
    corpus = composed("+data=duc2004", f"data.root={tmp_path}", "data.style_references=true").load()
    assert rows(corpus["test"]) == [("up .", *["up # %"] * 4)]


def test_reuters_is_read_as_it_lies(tmp_path):
    for split in ("train", "valid", "test"):
        write(tmp_path, **{f"{split}.article.gz": f"A {split}", f"{split}.title.gz": "T"})
    corpus = Reuters(tmp_path).load()
    assert rows(corpus["validation"]) == [("A valid", "T")]


def test_real_corpora_are_read_whole(external_corpora):
    gigaword = composed("+data=gigaword", f"data.root={external_corpora / 'gigaword'}").load()
    assert {name: len(split) for name, split in gigaword.items()} == {
        "train": 10_000,
        "validation": 1_000,
        "test": 1_951,
    }
    texts = " ".join(gigaword["test"]["source"])
    assert "<unk>" in texts
    assert "UNK" not in texts
    duc = Duc2004(external_corpora / "duc2004").load()["test"]
    assert len(duc) == 500
    assert len(duc.column_names) == 5
    assert len(Reuters(external_corpora / "reuters-headlines").load()["train"]) == 12_359
