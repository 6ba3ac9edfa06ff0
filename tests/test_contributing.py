"""CONTRIBUTING.md is right: its recipes train, and its commands and layers exist."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
GUIDE = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"# ([\w/.]+\.(?:py|yaml))( \(add\))?\n")

TINY = [
    "data.corpus.train_size=200",
    "data.corpus.validation_size=8",
    "data.corpus.test_size=8",
    "trainer.max_steps=2",
    "trainer.accelerator=cpu",
    "schedule=constant",
    "validation.every_n_steps=1",
    "hydra.run.dir=run",
]
TINY_SUBWORDS = ["data.subwords.size=400"]
TINY_RECURRENT = ["model.hidden_size=16", "model.embedding_size=16"]


def files() -> list[tuple[str, str, bool]]:
    """Path, content and whether it is to be added, of every fenced block that names its file."""
    blocks = []
    for _, text in FENCED.findall(GUIDE):
        if name := NAMED.match(text):
            blocks.append((name[1], text[name.end() :], name[2] is not None))
    return blocks


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Copy the package and its configuration, and follow every recipe in the copy."""
    for part in ("seq2seq", "configs"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / part, tmp_path / part, ignore=ignored)
    for name, text, add in files():
        path = tmp_path / name
        assert path.exists() == add, f"{name} is new in the guide, and must not be in the package"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    return tmp_path


def command(name: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", f"seq2seq.cli.{name}", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(cwd)},
        capture_output=True,
        text=True,
        timeout=280,
    )


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.parametrize(
    ("choice", "overrides", "target"),
    [
        (
            "attention=expmax",
            [
                *(*TINY_SUBWORDS, *TINY_RECURRENT),
                *("attention.gamma=0.5", "attention.learn=[gamma]"),
            ],
            "seq2seq.mappings.Expmax",
        ),
        pytest.param(
            "data=reversal",
            [*TINY_RECURRENT, "data.corpus.longest=20"],
            "seq2seq.data.corpora.reversal.Reversal",
            marks=pytest.mark.thorough,
        ),
        pytest.param(
            "task=rewriting",
            [*TINY_SUBWORDS, *TINY_RECURRENT],
            "seq2seq.tasks.rewriting.Rewriting",
            marks=pytest.mark.thorough,
        ),
        pytest.param(
            "model=convolutional",
            [*TINY_SUBWORDS, "model.size=16", "model.layers=6", "attention=fusedmax"],
            "seq2seq.models.convolutional.Convolutional",
            marks=pytest.mark.thorough,
        ),
    ],
)
def test_a_recipe_trains_and_its_checkpoint_is_loaded(
    choice: str, overrides: list[str], target: str, checkout: Path
) -> None:
    trained = command("train", *TINY, choice, *overrides, cwd=checkout)
    assert trained.returncode == 0, trained.stdout + trained.stderr
    assert f"_target_: {target}" in (checkout / "run" / "config.yaml").read_text()
    evaluated = command("evaluate", "checkpoint=run", "output=again", cwd=checkout)
    assert evaluated.returncode == 0, evaluated.stdout + evaluated.stderr
    first, again = (
        json.loads((checkout / n / "metrics.json").read_text()) for n in ("run", "again")
    )
    assert first == again
    assert first["test"]["perplexity"] > 1
    if "task=rewriting" in choice:
        assert first["test"]["exact"]["signature"] == "case:mixed"
        check_the_search_option(checkout)


def check_the_search_option(checkout: Path) -> None:
    """Write with and without the recipe's limit on equal tokens."""
    (checkout / "source.txt").write_text("the old dog sees a small house\n" * 2)
    option = "search.constraints=[{_target_:seq2seq.search.frequency.MaxFrequency,times:2}]"
    most = []
    for extra in ([], [option]):
        files = ["input=source.txt", "output=written.txt"]
        written = command("translate", "checkpoint=run", *files, *extra, cwd=checkout)
        assert written.returncode == 0, written.stdout + written.stderr
        words = (checkout / "written.txt").read_text().splitlines()[0].split()
        most.append(max(words.count(word) for word in words))
    assert most[0] > 2 >= most[1]


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.thorough
def test_a_class_outside_the_package_trains_and_its_checkpoint_needs_trust(checkout: Path) -> None:
    shutil.move(checkout / "seq2seq" / "mappings" / "expmax.py", checkout / "mine.py")
    for name in ("__init__", "functional"):
        shutil.copy(
            REPOSITORY / "seq2seq" / "mappings" / f"{name}.py", checkout / "seq2seq/mappings"
        )
    own = ["--config-dir", "my_configs", "attention=mine"]
    trained = command("train", *own, *TINY, *TINY_SUBWORDS, *TINY_RECURRENT, cwd=checkout)
    assert trained.returncode == 0, trained.stdout + trained.stderr
    assert json.loads((checkout / "run" / "metrics.json").read_text())["test"]["bleu"]
    resumed = command("train", "resume=run", "trainer.max_steps=3", cwd=checkout)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    for name in ("evaluate", "translate"):
        refused = command(name, "checkpoint=run", cwd=checkout)
        assert refused.returncode == 1
        assert "'mine.Expmax', which a checkpoint may not" in refused.stderr
    trusted = command("evaluate", "checkpoint=run", "trust=[mine]", cwd=checkout)
    assert trusted.returncode == 0, trusted.stdout + trusted.stderr


def test_the_verbs_are_those_of_the_makefile() -> None:
    rules = re.findall(r"^(\w+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert re.findall(r"^\| `make (\w+)`", GUIDE, re.MULTILINE) == rules


def test_the_picture_shows_the_floors_that_are_enforced() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    floors = project["tool"]["importlinter"]["contracts"][0]["layers"]
    (picture,) = (text for language, text in FENCED.findall(GUIDE) if language == "text")
    assert [f"seq2seq.{line.split()[0]}" for line in picture.splitlines()] == floors
