"""An untrusted configuration is checked before it imports, builds or draws anything."""

from __future__ import annotations

import importlib
import logging
import pkgutil
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf
from test_allowed_files import CORPORA, NLI, TEXT, checkpoint_of
from test_strangers_checkpoint import MODELS, rewrite, save

from seq2seq.checkpoint import CheckpointError, build, checkpoint_task, load_checkpoint
from seq2seq.checkpoint.arguments import arguments
from seq2seq.checkpoint.corpus import own_corpus
from seq2seq.cli.application import HarmlessFormatter, config_folder
from seq2seq.data.corpora.toy import Toy
from seq2seq.system.errors import DataError
from seq2seq.system.untrusted_files import confined

TOY = {"_target_": f"{CORPORA}.toy.Toy"}
HEADLINES = {"_target_": f"{CORPORA}.toy_headlines.ToyHeadlines"}
PAIRS = {"_target_": f"{CORPORA}.toy_entailment.ToyEntailment"}
MODEL = {"_target_": "seq2seq.models.transformer.Transformer", "size": 10**9}


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "transformer",
            {"encoder_layers": True},
            "encoder_layers: Transformer takes int, not True",
        ),
        ("transformer", {"max_length": 2.0}, r"max_length: Transformer takes int, not 2\.0"),
        ("transformer", {"norm": ["pre"]}, "norm: Transformer takes str"),
        ("transformer", {"cross_mapping": None}, "cross_mapping: Transformer takes Mapping"),
        ("transformer", {"cross_mapping": {"_target_": f"{CORPORA}.text.Text"}}, "takes Mapping"),
        ("transformer", {"widht": 3}, "widht: Transformer has no such argument; it has: .*size"),
        ("recurrent", {"mapping": {**MODELS["recurrent"]["mapping"], "learn": "gamma"}}, "learn"),
        ("recurrent", {"mapping": {**MODELS["recurrent"]["mapping"], "gamma": "1"}}, "gamma"),
    ],
)
def test_values_of_another_type_are_refused(
    tmp_path: Path, name: str, change: dict[str, Any], message: str
) -> None:
    folder = save(tmp_path / "checkpoint", name)
    rewrite(folder, **change)
    with pytest.raises(CheckpointError, match=rf"config\.yaml: .*{message}"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("transformer", {"encoder_layers": -5}, "at least 1, not -5"),
        ("transformer", {"heads": 0}, "at least 1, not 0"),
        ("transformer", {"max_length": -3}, "at least 1 or null, not -3"),
        ("transformer", {"dropout": float("nan")}, "Transformer takes float, not nan"),
        ("transformer", {"dropout": 1.5}, "at least 0 and at most 1, not 1.5"),
        ("transformer", {"size": 2**62 + 1}, "size: Transformer takes int"),
        ("recurrent", {"hidden_size": 0}, "at least 1, not 0"),
        ("recurrent", {"embedding_size": -4}, "at least 1, not -4"),
    ],
)
def test_values_out_of_the_range_of_their_key_are_refused(
    tmp_path: Path, name: str, change: dict[str, Any], message: str
) -> None:
    folder = save(tmp_path / "checkpoint", name)
    rewrite(folder, **change)
    with pytest.raises(CheckpointError, match=rf"config\.yaml: .*{message}"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        ({**TEXT, "format": ["x"]}, "format: Text takes"),
        ({**TEXT, "train": 3}, "train: Text takes"),
        ({**TEXT, "normalize": {"_target_": "seq2seq.mappings.Softmax"}}, "normalize: Text takes"),
        ({**TEXT, "tests": {"a": {"_target_": "seq2seq.mappings.Softmax"}}}, "tests: Text takes"),
        ({**TOY, "tail": {"nouns": MODEL}}, "needs this argument|tail: Toy takes"),
        ({**TOY, "test_size": 1e7}, "test_size: Toy takes int"),
        ({**NLI, "no_label": 1}, "no_label: Nli takes str"),
        ({"_target_": f"{CORPORA}.mixture.Mixture", "corpora": {"a": {}}}, "corpora: Mixture"),
        (
            {
                "_target_": f"{CORPORA}.mixture.Mixture",
                "corpora": {"a": {"corpus": {"_target_": f"{CORPORA}.toy.Tail"}}},
            },
            "corpora: Mixture takes",
        ),
        ({"_target_": f"{CORPORA}.gigaword_style.GigawordStyle"}, "GigawordStyle is no corpus"),
        ({"_target_": "seq2seq.mappings.Softmax"}, "Softmax is no corpus"),
    ],
)
def test_arguments_of_a_corpus_are_what_its_class_says(
    corpus: dict[str, Any], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        own_corpus(checkpoint_of(corpus), {})


@pytest.mark.parametrize(
    "target",
    [
        "seq2seq.mappings.\x1b[31mSoftmax",
        "seq2seq.mappings.Soft\nmax",
        "seq2seq.mappings..Softmax",
        "seq2seq.mappings.Softmax\x00",
        "seq2seq.mappings.Ѕoftmax",
        "seq2seq.mappings.no\u202emodule.x",
        "seq2seq.mappings.nowhere.Softmax",
    ],
)
def test_a_target_that_is_no_name_reaches_no_terminal(
    target: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(CheckpointError) as refusal:
        build({"_target_": target})
    shown = [str(refusal.value), *capfd.readouterr(), caplog.text]
    assert all(character.isprintable() for text in shown for character in text)


@pytest.mark.parametrize("label", ["a\nb", "a\tb", "\x1b[31m", "", " ", "a\u202e"])
def test_labels_are_printable(label: str) -> None:
    task = {"_target_": "seq2seq.tasks.entailment.Entailment", "labels": ["yes", label]}
    with pytest.raises(CheckpointError, match=r"task\.labels: .* is empty or has control"):
        checkpoint_task({"task": task})


@pytest.mark.parametrize(
    "corpus",
    [
        {**TOY, "test_size": 10_000_000},
        {**TOY, "train_size": 60_000, "validation_size": 60_000, "test_size": 60_000},
        {**TOY, "tail": {"nouns": 10**9}},
        {**TOY, "tail": {"nouns": 1e3}},
        {**TOY, "tail": {"exponent": float("nan")}},
        {**TOY, "train_size": 1, "test_size": 1, "held_out_share": 1, "rates": {"held_out": 0}},
        {**HEADLINES, "train_size": 10_000_000},
        {**PAIRS, "validation_size": 9_999_999},
    ],
)
def test_the_work_that_a_corpus_asks_for_is_bounded(corpus: dict[str, Any]) -> None:
    begun = time.process_time()
    with pytest.raises(ValueError, match=r"toy corpus: |more work than"):
        own_corpus(checkpoint_of(corpus), {}).load()
    assert time.process_time() - begun < 30


def test_the_parts_of_a_mixture_share_the_work(tmp_path: Path) -> None:
    sizes = {"train_size": 100, "validation_size": 1, "test_size": 1, "cache_folder": str(tmp_path)}
    parts = {f"c{n}": {"corpus": {**HEADLINES, **sizes, "seed": n}} for n in range(3)}
    corpus = build({"_target_": f"{CORPORA}.mixture.Mixture", "corpora": parts})
    with confined(lambda path: None, work=900), pytest.raises(DataError, match="more work than"):
        corpus.load()
    assert len(corpus.load()["train"]) == 300


@pytest.mark.parametrize(
    ("names", "message"),
    [(["data/a.tsv"] * 6_000, "more work than"), ("data/**/x/**/*.tsv", "has [*][*] twice")],
)
def test_opening_files_is_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: Any, message: str
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.tsv").write_text("a\tb\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=message):
        own_corpus(checkpoint_of({**TEXT, "test": names}), {}).load()


def test_a_log_shows_control_characters_and_does_not_send_them() -> None:
    record = logging.LogRecord("a", logging.INFO, "b", 1, "no \x1b[31m %s", ("\u202e",), None)
    assert HarmlessFormatter(logging.Formatter("%(message)s")).format(record) == (
        "no \\x1b[31m \\x202e"
    )


def test_a_corpus_that_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no new sentence for the split test"):
        Toy(train_size=1, test_size=1, held_out_share=1, rates={"held_out": 0})._drawn()


def test_a_mixture_needs_a_corpus_in_each_part() -> None:
    with pytest.raises((CheckpointError, DataError), match="corpora"):
        build({"_target_": f"{CORPORA}.mixture.Mixture", "corpora": {"a": {"filters": None}}})


def test_annotations_of_all_that_configurations_name_are_known() -> None:
    """A class whose annotations cannot be resolved would be refused in every checkpoint."""
    named = []
    for path in sorted(config_folder().rglob("*.yaml")):
        target = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("_target_", "")
        if target.startswith(("seq2seq.mappings", "seq2seq.models", "seq2seq.tasks")):
            named.append(target)
    package = importlib.import_module(CORPORA)
    modules = [
        importlib.import_module(m.name)
        for m in pkgutil.walk_packages(package.__path__, f"{CORPORA}.")
    ]
    corpora = [
        one
        for module in modules
        for one in vars(module).values()
        if isinstance(one, type) and hasattr(one, "load") and one.__module__ == module.__name__
    ]
    for target in named:
        module, _, name = target.rpartition(".")
        assert arguments(getattr(importlib.import_module(module), name)) is not None
    for corpus in corpora:
        if corpus.__name__ != "Corpus":
            assert "self" not in arguments(corpus)
    assert len(named) > 15
    assert len(corpora) > 10


def test_configurations_of_this_package_pass() -> None:
    config = OmegaConf.load(config_folder() / "attention" / "entmax15.yaml")
    assert build(OmegaConf.to_container(config)) is not None
