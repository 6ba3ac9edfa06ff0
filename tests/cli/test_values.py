"""Every key has a type and a range, which are checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning  # noqa: F401  # its annotations are checked where it is imported
import pytest
from commands import SMALL, forked
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from seq2seq.cli.application import config_folder
from seq2seq.cli.values import check_values
from seq2seq.system.ranges import KEYS

CONFIGURATIONS = {
    "train": ["train"],
    "transformer": ["train", "model=transformer", "attention=fusedmax"],
    "entailment": ["train", "task=entailment", "attention=entmax"],
    "summarization": ["train", "task=summarization", "schedule=plateau", "data=reuters"],
    "evaluate": ["evaluate"],
    "sample": ["translate", "search=sample"],
    "predict": ["predict"],
    "score": ["score"],
    "translate": ["translate"],
    "export": ["export"],
    "explore": ["explore"],
    "compare": ["compare"],
    "push": ["push"],
}
#: Keys that take nodes of any content, or a list that their command checks.
OPEN = {
    *("annealing", "compile", "task", "draw", "test", "data.corpus.tail", "data.corpus.rates"),
    "trainer.max_time",  # Lightning takes text and several kinds of nodes
}


def composed(name: str, *overrides: str) -> DictConfig:
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return compose(name, list(overrides))


def leaves(node: DictConfig, prefix: str = "") -> Iterator[str]:
    """Yield the dotted name of everything that holds a value."""
    for name in map(str, node):
        known = not OmegaConf.is_missing(node, name) and not OmegaConf.is_interpolation(node, name)
        value = node[name] if known else None
        if isinstance(value, DictConfig) and len(value):
            yield from leaves(value, f"{prefix}{name}.")
        elif not name.startswith("_"):
            yield prefix + name


def with_value(config: DictConfig, key: str, value: Any) -> DictConfig:
    changed = config.copy()
    OmegaConf.set_struct(changed, False)
    OmegaConf.update(changed, key, value, merge=False)
    return changed


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_defaults_pass_and_every_key_refuses_what_no_key_can_be(name: str) -> None:
    config = composed(*CONFIGURATIONS[name])
    check_values(config)
    for key in leaves(config):
        if key not in OPEN:
            with pytest.raises(ValueError, match="has to be") as refused:
                check_values(with_value(config, key, {"nonsense": [1]}))
            assert len(str(refused.value)) < 500


@pytest.mark.parametrize("path", sorted((config_folder() / "experiment").rglob("*.yaml")))
def test_every_experiment_passes(path: Path) -> None:
    check_values(composed("train", f"experiment={path.stem}"))


@pytest.mark.parametrize(
    "group",
    ["trainer", "model", "optimizer", "schedule", "annealing", "compile", "attention", "logger"],
)
def test_every_choice_of_a_group_passes(group: str) -> None:
    for path in sorted((config_folder() / group).glob("*.yaml")):
        check_values(composed("train", f"{group}={path.stem}"))


@pytest.mark.parametrize("path", sorted((config_folder() / "data").glob("*.yaml")))
def test_every_corpus_passes(path: Path) -> None:
    needed = {"path": "a", "name": "b", "source_language": "de", "target_language": "en"}
    text = path.read_text()
    given = [f"data.{key}={value}" for key, value in needed.items() if f"\n{key}: ???" in text]
    check_values(composed("train", f"data={path.stem}", *given))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.batch.tokens=0", "data.batch.tokens=0 has to be a whole number of at least 1"),
        ("data.batch.tokens=-5", "data.batch.tokens=-5 has to be a whole number of at least 1"),
        ("data.batch.tokens=1.5", "data.batch.tokens=1.5 has to be a whole number"),
        ("model.hidden_size=abc", "model.hidden_size=abc has to be a whole number of at least 1"),
        ("model.bidirectional=3", "model.bidirectional=3 has to be true or false"),
        ("model.dropout=1.5", "model.dropout=1.5 has to be a number of at least 0 and at most 1"),
        ("optimizer.lr=-1", "optimizer.lr=-1 has to be a number of at least 0"),
        ("optimizer.lr=nan", "optimizer.lr=nan has to be a number of at least 0"),
        ("optimizer.betas=abc", "optimizer.betas=abc has to be a list"),
        ("attention.gamma=abc", "attention.gamma=abc has to be a number"),
        ("test.search.beam_size=0", "test.search.beam_size=0 has to be a whole number"),
        ("trainer.precision=12", "trainer.precision=12 has to be 64 or 32 or 16"),
        ("trainer.max_steps=abc", "trainer.max_steps=abc has to be a whole number"),
        ("seed=1e30", "seed=1e\\+30 has to be a whole number"),
        ("validation.keep_best=null", "validation.keep_best=null has to be a whole number"),
        ("schedule.warmup_steps=-1", "schedule.warmup_steps=-1 has to be a whole number"),
    ],
)
def test_the_message_names_the_key_its_value_and_what_it_takes(override: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_values(composed("train", override))


def test_all_wrong_values_are_told_at_once() -> None:
    with pytest.raises(ValueError, match=r"model.hidden_size=.*; seed=x has to be"):
        check_values(composed("train", "model.hidden_size=-1", "seed=x"))


def test_every_range_is_that_of_a_key() -> None:
    """A range whose key was renamed would check nothing."""
    keys = {key for overrides in CONFIGURATIONS.values() for key in leaves(composed(*overrides))}
    extra = {
        "trainer.num_nodes",
        "optimizer.weight_decay",
        "data.corpus.denied_share",
        "init.checkpoint",
    }
    unused = [
        name for name in KEYS if not any(f".{key}".endswith(f".{name}") for key in keys | extra)
    ]
    assert unused == []


@pytest.mark.e2e
def test_a_command_refuses_it_before_anything_is_built(tmp_path: Path) -> None:
    result = forked("train", *SMALL, "data.batch.tokens=0", "hydra.run.dir=run", cwd=tmp_path)
    assert result.returncode == 1
    assert "error: data.batch.tokens=0 has to be a whole number of at least 1" in result.stderr
    assert "Traceback" not in result.stderr
