"""Rewritten overrides: names are text, and `~` is the home folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from seq2seq.cli.application import config_folder
from seq2seq.cli.arguments import as_meant


def composed(*arguments: str, command: str = "train") -> object:
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return compose(command, as_meant([*arguments]), return_hydra_config=True)


@pytest.mark.parametrize(
    ("command", "context", "argument", "value"),
    [
        ("train", "data=text", "data.train.source=2024", "2024"),
        ("train", "data=text", "data.train=2024", "2024"),
        ("train", "data=text", "data.target_language=0077", "0077"),
        ("train", "data=nli", "data.no_label=-1", "-1"),
        ("train", "task=entailment", "task.labels=[0, 1,2]", ["0", "1", "2"]),
        ("train", "task=entailment", "task.labels=[yes,no]", ["yes", "no"]),
        ("train", "data=text", "data.source_column=1", 1),
        ("train", "seed=2", "hydra.run.dir=2024_11_30", "2024_11_30"),
        ("evaluate", "sentences=3", "checkpoint=77", "77"),
        ("evaluate", "sentences=3", "checkpoint=[1e3,b]", ["1e3", "b"]),
        ("translate", "checkpoint=a", "input=2024", "2024"),
        ("translate", "checkpoint=a", "prefix=null", None),
    ],
)
def test_names_that_look_like_numbers_are_text(
    command: str, context: str, argument: str, value: object
) -> None:
    config = composed(context, argument, command=command)
    found = OmegaConf.select(config, argument.partition("=")[0])  # type: ignore[arg-type]
    assert found == value
    assert type(found) is type(value) or isinstance(value, list)


@pytest.mark.parametrize("written", ["'~/runs/x'", "~/runs/x"])
def test_the_home_folder_is_found(
    written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "it's"))
    config = composed(f"hydra.run.dir={written}")
    assert OmegaConf.select(config, "hydra.run.dir") == f"{tmp_path}/it's/runs/x"  # type: ignore[arg-type]


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_list_of_files_replaces_files_of_two_sides(split: str) -> None:
    config = composed("data=text", f"data.{split}=[a.jsonl,7]")
    found = OmegaConf.select(config, f"data.corpus.{split}")  # type: ignore[arg-type]
    assert found == ["a.jsonl", "7"]


def test_other_arguments_stay_as_they_are() -> None:
    others = ["-m", "--cfg", "job", "seed=1,2", "data.train.source=1,2", "model=transformer"]
    others += ["data.train.source=[", "~data", "data=text", "model.size=64"]
    assert as_meant(others) == others
