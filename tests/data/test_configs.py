"""The groups in configs/data build what they say, and say what they mean."""

import re
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

CONFIGS = Path(__file__).parents[2] / "configs"


def data(*overrides):
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose(overrides=list(overrides)).data


@pytest.fixture
def files(tmp_path):
    for name in ("a.en", "a.de", "a.tsv"):
        (tmp_path / name).write_text("x\ty\n" if name == "a.tsv" else f"text of {name}\n")
    return tmp_path


def test_multi30k_takes_folder_and_languages(tmp_path):
    config = data("+data=multi30k", f"data.root={tmp_path}", "data.target_language=cs")
    corpus = instantiate(config.corpus)
    assert (corpus.source_language, corpus.target_language) == ("en", "cs")


def test_text_takes_two_sides(files):
    config = data(
        "+data=text",
        f"data.train.source={files}/a.en",
        f"data.train.target=[{files}/a.de]",
        "data.source_language=English",
    )
    corpus = instantiate(config.corpus)
    assert corpus.load()["train"][0] == {"source": "text of a.en", "target": "text of a.de"}
    assert corpus.source_language == "English"


def test_text_takes_one_file_of_both_sides_and_further_test_sets(files):
    config = data("+data=text", f"data.train={files}/a.tsv", f"data.tests={{more:{files}/a.tsv}}")
    splits = instantiate(config.corpus).load()
    assert splits["train"][0] == splits["more"][0] == {"source": "x", "target": "y"}


def test_text_takes_several_references(files):
    config = data(
        "+data=text",
        f"data.test.source={files}/a.en",
        f"data.test.references=[{files}/a.de,{files}/a.en]",
    )
    assert instantiate(config.corpus).load()["test"][0] == {
        "source": "text of a.en",
        "target": "text of a.de",
        "target_2": "text of a.en",
    }


def test_every_key_has_a_comment():
    for name in ("base", "duc2004", "gigaword", "multi30k", "reuters", "text"):
        lines = (CONFIGS / "data" / f"{name}.yaml").read_text().split("\ncorpus:")[0].splitlines()
        keys = [line for line in lines if re.match(r" *\w+: *[^ ]", line)]
        bare = [line for line in keys if "#" not in line and not line.startswith("defaults")]
        assert bare == []
