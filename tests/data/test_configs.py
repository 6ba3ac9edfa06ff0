"""The configurations in configs/data build the right corpora, and have useful comments."""

import re
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

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


CORPORA = sorted({path.stem for path in (CONFIGS / "data").glob("*.yaml")} - {"base", "pairs"})
MUST = {
    "hub": ["data.corpora.part.path=x"],
    "opus": [f"data.corpora.part.{k}=x" for k in ("name", "source_language", "target_language")],
}


@pytest.mark.parametrize("name", [name for name in CORPORA if name != "mixture"])
def test_every_corpus_can_be_part_of_a_mixture(name):
    given = ["task=summarization", "data=mixture", f"+data@data.corpora.part={name}"]
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose("train", [*given, *MUST.get(name, [])])
    plain = OmegaConf.to_container(config.data, resolve=True)["corpora"]
    assert instantiate(plain["part"]["corpus"]).load


def test_a_mixture_takes_any_corpora_of_this_group_by_name(files, tmp_path):
    config = data(
        "+data=mixture",
        "+data@data.corpora.mine=text",
        f"data.corpora.mine.train={files}/a.tsv",
        f"data.corpora.mine.validation={files}/a.tsv",
        "data.corpora.mine.source_language=English",
        "+data@data.corpora.hub=hub",
        "data.corpora.hub.path=json",
        "data.corpora.hub.validation=null",
        "data.corpora.hub.test=null",
        f"+data.corpora.hub.options.data_files={files}/b.jsonl",
        f"+data.corpora.hub.options.cache_dir={tmp_path}/hub",
        "data.weights={hub: 1, mine: 2}",
    )
    (files / "b.jsonl").write_text('{"source": "s", "target": "t"}\n')
    corpus = instantiate(config.corpus)
    assert corpus.source_language == "English"
    train = corpus.load()["train"]
    assert train["source"][:] == ["x", "s"]
    assert train["corpus"][:] == [0, 1]


def test_every_key_has_a_comment():
    base = (CONFIGS / "data" / "base.yaml").read_text()
    explained = set(re.findall(r"^ *(\w+):.*#", base, re.MULTILINE))
    for path in (CONFIGS / "data").glob("*.yaml"):
        lines = path.read_text().split("\ncorpus:")[0].splitlines()
        keys = [line for line in lines if re.match(r" *\w+: *[^ ]", line)]
        bare = [line.split(":")[0].strip() for line in keys if "#" not in line]
        assert set(bare) - explained - {"defaults"} == set(), path.name
