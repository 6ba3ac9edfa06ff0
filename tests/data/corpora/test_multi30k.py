import gzip
import re

import pytest

from seq2seq.data import DataError
from seq2seq.data.corpora.multi30k import Multi30k

LAYOUTS = ["raw", "data/task1/raw", "task1/raw", "."]


def lay_out(folder, splits=("train", "val", "test_2016_flickr"), languages=("en", "de")):
    folder.mkdir(parents=True, exist_ok=True)
    for split in splits:
        for language in languages:
            with gzip.open(folder / f"{split}.{language}.gz", "wb") as file:
                file.write(f"{split} in {language}\n".encode())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_found(tmp_path, layout):
    lay_out(tmp_path / layout)
    splits = Multi30k(tmp_path).load()
    assert {name: split[0] for name, split in splits.items()} == {
        "train": {"source": "train in en", "target": "train in de"},
        "validation": {"source": "val in en", "target": "val in de"},
        "test": {"source": "test_2016_flickr in en", "target": "test_2016_flickr in de"},
    }


def test_further_test_sets_are_those_of_both_languages(tmp_path):
    lay_out(tmp_path, languages=("en", "cs", "fr"))
    lay_out(tmp_path, ["test_2017_flickr"], ["en", "fr"])
    lay_out(tmp_path, ["test_2018_flickr"], ["en", "fr", "cs"])
    common = {"train", "validation", "test"}
    assert set(Multi30k(tmp_path, "fr", "cs").load()) == common | {"test_2018_flickr"}
    assert set(Multi30k(tmp_path, "fr", "en").load()) == common | {
        "test_2017_flickr",
        "test_2018_flickr",
    }


def test_default_folder_is_here_or_in_the_cache(tmp_path, own_cache, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lay_out(own_cache / "multi30k" / "raw")
    assert Multi30k().load()["train"]["source"][0] == "train in en"
    lay_out(tmp_path / "data" / "multi30k", languages=("de", "fr"))
    assert Multi30k(None, "de", "fr").load()["train"]["source"][0] == "train in de"


def test_missing_corpus_names_file_place_and_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=re.escape("there is no train.en.gz")) as caught:
        Multi30k(None, "en", "fr").load()
    message = str(caught.value)
    assert "python scripts/prepare_multi30k.py --languages en,fr --root data/multi30k" in message
    assert "https://github.com/multi30k/dataset" in message
    assert str(tmp_path / "data/multi30k/raw") in message


def test_incomplete_corpus_names_the_missing_file(tmp_path):
    lay_out(tmp_path, ["train"])
    with pytest.raises(DataError, match=r"there is no val\.en\.gz"):
        Multi30k(tmp_path).load()


@pytest.mark.parametrize(
    ("languages", "message"),
    [
        (("en", "it"), "data.target_language=it is none of Multi30k's en, de, fr, cs"),
        (("en", "en"), "are both en"),
    ],
)
def test_impossible_languages_are_refused_before_looking_for_files(languages, message):
    with pytest.raises(DataError, match=message):
        Multi30k(None, *languages)


@pytest.mark.parametrize("target", ["de", "fr", "cs"])
def test_the_real_corpus(external_corpora, target):
    splits = Multi30k(external_corpora / "multi30k", target_language=target).load()
    sizes = {name: len(split) for name, split in splits.items()}
    assert (sizes["train"], sizes["validation"], sizes["test"]) == (29_000, 1_014, 1_000)
    assert ("test_2017_mscoco" in sizes) is (target != "cs")
