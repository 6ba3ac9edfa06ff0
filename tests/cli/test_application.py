"""Errors for mistakes on the command line, which suggest what to type instead."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import cold, forked
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from omegaconf.errors import MissingMandatoryValue

from seq2seq.cli.application import (
    _message,
    config_folder,
    configured_classes,
    show_any_character,
    suggestions,
)
from seq2seq.cli.train import _other_attention, check

COMMANDS = ("train", "evaluate", "translate", "explore")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("attention=fusdmax", "attention=fusedmax"),
        ("model=transfomer", "model=transformer"),
        ("trainer.max_step=3", "trainer.max_steps"),
        ("trainer.acumulate_grad_batches=3", "trainer.accumulate_grad_batches"),
        ("hiden_size=3", "model.hidden_size"),
        ("optimiser=adam", "optimizer"),
        ("attention.lamda=0.2", "attention.lam"),
        ("data.subwords.sise=500", "data.subwords.size"),
        ("search=greedy", "search@test.search=greedy"),
        ("attention@model.ouput_mapping=sparsemax", "attention@model.output_mapping=sparsemax"),
    ],
)
def test_a_misspelt_override_is_answered_with_the_nearest_name(
    override: str, expected: str
) -> None:
    context = ["attention=fusedmax"] if override.startswith("attention.") else []
    (line,) = suggestions("train", [*context, override])
    assert expected in line


@pytest.mark.parametrize(
    ("context", "override", "expected"),
    [
        ("task=entailment", "search=beam", "is not for this command and task"),
        ("task=entailment", "test.search.beam_size=3", "test.split"),
        ("task=entailment", "rouge@task.rouge=duc", "which use no rouge"),
    ],
)
def test_a_choice_of_another_task_is_not_reported_as_a_misspelling(
    context: str, override: str, expected: str
) -> None:
    (line,) = suggestions("train", [context, override])
    assert expected in line


@pytest.mark.parametrize(
    ("override", "owners"),
    [
        ("attention.lam=0.1", "attention=fusedmax, oscarmax, and not of the chosen attention=soft"),
        ("optimizer.momentum=0.9", "optimizer=sgd, and not of the chosen optimizer=adam"),
        ("model.bidirectional=true", "model=recurrent, recurrent_classifier, and not of"),
    ],
)
def test_a_parameter_of_another_choice_is_answered_with_the_choices_that_have_it(
    override: str, owners: str
) -> None:
    context = ["optimizer=adam", "model=transformer", "attention=softmax"]
    (line,) = suggestions("train", [*context, override])
    assert f"is a parameter of {owners}" in line


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("zzz=1", "no name is similar; --cfg job lists all keys"),
        ("batch_size=32", "no name is similar; --cfg job lists all keys"),
        ("attention=xyzzy", "no name is similar; choose from: constrained_softmax, "),
        ("optimizer.learning_rate=1", "choose from: optimizer.betas, optimizer.eps, optimizer.lr"),
        ("trainer.max_epoch=3", "the nearest valid names: trainer.max_epochs, trainer.max_steps"),
    ],
)
def test_only_similar_names_are_called_near(override: str, expected: str) -> None:
    (line,) = suggestions("train", ["optimizer=adam", override])
    assert line.endswith(expected) or expected.endswith(", ")
    assert expected in line


@pytest.mark.parametrize(
    ("choice", "needed"),
    [
        ("data=hub", "data.path=…"),
        ("data=opus", "data.name=… data.source_language=… data.target_language=…"),
    ],
)
def test_an_error_names_the_keys_that_a_corpus_needs(choice: str, needed: str) -> None:
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose("train", [choice])
    with pytest.raises(ValueError, match=re.escape(f"this corpus needs {needed}") + "$"):
        check(config)


def test_right_overrides_need_no_suggestion() -> None:
    assert suggestions("train", ["attention=fusedmax", "attention.lam=0.2", "seed=3"]) == []


def test_sweeps_and_a_users_own_configuration_are_known(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\nseed: 5\n")
    arguments = ["experiment=mine", "attention=softmax,sparsemax", "optimzer.lr=1"]
    (line,) = suggestions("train", arguments, str(tmp_path))
    assert "optimizer.lr" in line


@pytest.mark.e2e
def test_the_command_prints_the_suggestion_and_starts_nothing(tmp_path: Path) -> None:
    result = cold("train", "model.hiden_size=3", cwd=tmp_path)
    assert result.returncode == 1
    assert "model.hidden_size" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.e2e
@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_choices_examples_and_configuration(name: str, tmp_path: Path) -> None:
    result = cold(name, "--help", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert f"seq2seq-{name}" in result.stdout
    assert "search" in result.stdout
    assert "beam" in result.stdout
    assert "--config-dir" in result.stdout
    assert "Exit codes: 0 success, 1 an error (yours or a bug), 128 + signal" in result.stdout


@pytest.mark.e2e
def test_cfg_job_prints_the_configuration_in_force(tmp_path: Path) -> None:
    result = cold("train", "--cfg", "job", "attention=fusedmax", "attention.lam=0.25", cwd=tmp_path)
    assert "lam: 0.25" in result.stdout
    assert "seq2seq.mappings.Fusedmax" in result.stdout


@pytest.mark.e2e
def test_a_users_own_configuration_joins_by_config_dir(tmp_path: Path) -> None:
    own = tmp_path / "own" / "attention"
    own.mkdir(parents=True)
    (own / "sharp.yaml").write_text("_target_: seq2seq.mappings.Sparsemax\ngamma: 0.125\n")
    result = cold("train", "--config-dir", "own", "attention=sharp", "--cfg", "job", cwd=tmp_path)
    assert "gamma: 0.125" in result.stdout, result.stderr


@pytest.mark.e2e
def test_tab_completion_offers_the_options_of_a_group(tmp_path: Path) -> None:
    result = subprocess.run(
        [Path(sys.executable).with_name("seq2seq-train"), "-sc", "query=bash"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "COMP_LINE": "seq2seq-train attention=fus", "COMP_POINT": "27"},
    )
    assert "attention=fusedmax" in result.stdout, result.stderr


@pytest.mark.e2e
@pytest.mark.parametrize("name", ["evaluate", "translate", "explore"])
def test_a_missing_checkpoint_is_reported_in_one_message(name: str, tmp_path: Path) -> None:
    result = forked(name, "checkpoint=nowhere", cwd=tmp_path)
    assert result.returncode == 1
    assert "checkpoint=nowhere: there is no such folder" in result.stderr
    assert "Traceback" not in result.stderr


def test_every_group_of_the_house_has_options() -> None:
    for group in (
        "task",
        "data",
        "model",
        "attention",
        "optimizer",
        "schedule",
        "trainer",
        "search",
    ):
        assert list((config_folder() / group).glob("*.yaml")), group


def test_the_class_of_every_choice_is_known_where_it_has_one() -> None:
    for group in ("task", "model"):
        classes = configured_classes(group)
        assert classes.keys() == {path.stem for path in (config_folder() / group).glob("*.yaml")}
        for name, target in classes.items():
            with initialize_config_dir(str(config_folder()), version_base="1.3"):
                choice = {"task": [f"task={name}"], "model": [f"model={name}"]}[group]
                assert compose("train", choice)[group]["_target_"] == target


def test_errors_name_the_key_or_the_file_and_no_number() -> None:
    config = OmegaConf.create({"checkpoint": "???"})
    with pytest.raises(MissingMandatoryValue) as missing:
        _ = config.checkpoint
    assert _message(missing.value).startswith("checkpoint is not set and has no default")
    with pytest.raises(FileNotFoundError) as absent:
        Path("nowhere.txt").read_text()
    assert _message(absent.value) == "nowhere.txt: No such file or directory"
    assert _message(ValueError("as it is")) == "as it is"


def test_the_attention_to_try_next_is_not_the_one_of_the_run() -> None:
    advice = "try another attention: attention=fusedmax"
    assert _other_attention(advice, "softmax") == advice
    assert _other_attention(advice, "fusedmax") == "try another attention: attention=sparsemax"
    assert _other_attention("seq2seq-train data=multi30k", "fusedmax").endswith("data=multi30k")


def test_an_ascii_terminal_replaces_other_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", terminal)
    show_any_character()
    print("Übersetzung ✓")
    terminal.flush()
    assert terminal.buffer.getvalue() == b"?bersetzung ?\n"  # type: ignore[attr-defined]


@pytest.mark.e2e
@pytest.mark.parametrize("argument", ["resume=\x1b]0;x\x07", "init=a\x9b2J", "nothing\x1b[2J"])
def test_escape_sequences_of_arguments_are_shown(argument: str, tmp_path: Path) -> None:
    result = forked("train", argument, cwd=tmp_path)
    assert result.returncode == 1
    assert "has control characters: rename the file" in result.stderr
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", result.stdout + result.stderr)


@pytest.mark.e2e
def test_a_folder_that_begins_with_a_tilde_is_no_home(tmp_path: Path) -> None:
    (tmp_path / "~nobody-of-this-name").write_text("a\n")
    result = forked("translate", "checkpoint='~nobody-of-this-name'", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith("error: checkpoint=~nobody-of-this-name: neither a checkpoint")


@pytest.mark.e2e
def test_long_messages_are_cut(tmp_path: Path) -> None:
    long = "x" * 4000
    result = forked("export", f"checkpoint={long}", "output=out", cwd=tmp_path)
    assert result.returncode == 1
    assert len(result.stderr) < 3200


@pytest.mark.e2e
def test_help_that_nobody_reads_on_ends_silently() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "seq2seq.cli.export", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1
