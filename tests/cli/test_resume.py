"""`resume=`: the run's own configuration, with key=value changes only."""

from __future__ import annotations

from pathlib import Path

import pytest

from seq2seq.cli.resume import resume_arguments, resumed_config, split_resume
from seq2seq.cli.train import _again
from seq2seq.system.processes import Group


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "config.yaml").write_text(
        "resume: null\nmodel: {hidden_size: 7}\ntrainer: {max_steps: 10}\n"
        "schedule: {total_steps: '${trainer.max_steps}'}\noptimizer: {lr: 0.1}\n"
    )
    return tmp_path


def test_the_folder_is_found_among_other_overrides() -> None:
    folder, others = split_resume(["seed=2", "resume=runs/a b", "trainer.max_steps=3"])
    assert folder == Path("runs/a b")
    assert others == ["seed=2", "trainer.max_steps=3"]


def test_no_resume_leaves_the_command_line_alone() -> None:
    assert split_resume(["seed=2", "resume=null"])[0] is None


def test_a_change_is_applied_over_the_stored_configuration(run_folder: Path) -> None:
    config = resumed_config(run_folder, ["trainer.max_steps=20"])
    assert config.trainer.max_steps == 20
    assert config.model.hidden_size == 7
    assert config.schedule.total_steps == 20, "what follows a changed key changes with it"
    assert config.resume == str(run_folder)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ("trainer.max_stepz=20", "trainer.max_stepz"),
        ("model=transformer", "keeps its model"),
        ("model.hidden_size=8", "keeps its model.hidden_size"),
        ("optimizer.lr=0.5", "keeps its optimizer.lr"),
        ("+new=1", "key=value"),
    ],
)
def test_other_changes_are_refused(run_folder: Path, change: str, word: str) -> None:
    with pytest.raises(ValueError, match=word.replace("+", r"\+")):
        resumed_config(run_folder, [change])


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="not a run folder"):
        resumed_config(tmp_path / "elsewhere", [])


def test_hydra_works_in_a_folder_with_quotes_and_equal_signs() -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    folder = Path("runs/lam=0.1,it's")
    parsed = OverridesParser.create().parse_overrides(resume_arguments(folder)[:2])
    assert [override.value() for override in parsed] == [str(folder), str(folder)]


def test_the_command_that_goes_on_has_the_changes_of_this_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    changes = ["trainer.max_steps=20", "validation.patience=3"]
    folder = Path("runs/a")
    assert _again(folder, Group(), changes) == f"seq2seq-train resume=runs/a {' '.join(changes)}"
    started = "… python -m seq2seq.cli.train resume=runs/a"
    assert _again(folder, Group(size=2), []) == f"srun {started}"
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    assert _again(folder, Group(size=2), []) == f"torchrun {started.replace('python ', '')}"
