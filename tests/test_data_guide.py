"""docs/data.md is right: the corpora that it adds load and train."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
GUIDE = (REPOSITORY / "docs" / "data.md").read_text(encoding="utf-8")
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"# ([\w/.]+\.(?:py|yaml))\n")
ADDED = ("data=proverbs", "data=barred")

LINES = {split: [(f"a proverb {k}", f"its meaning {k}") for k in range(30)] for split in
         ("train", "validation", "test")}  # fmt: skip


def commands() -> list[list[str]]:
    blocks = [text for language, text in FENCED.findall(GUIDE) if language == "bash"]
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("seq2seq-train ")]


def test_every_way_to_choose_data_is_in_the_guide() -> None:
    """Corpora of other tasks have pages of their own."""
    chosen = {override for command in commands() for override in command if "data=" in override}
    expected = {"text", "hub", "mixture", "opus", "wmt14_fr_en", "iwslt14_de_en"}
    assert {f"data={name}" for name in expected} <= chosen


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Copy package and configuration, and add the corpora of the guide and their files."""
    for part in ("seq2seq", "configs"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / part, tmp_path / part, ignore=ignored)
    for _, text in FENCED.findall(GUIDE):
        if name := NAMED.match(text):
            path = tmp_path / name[1]
            assert not path.exists(), f"{name[1]} is new in the guide"
            path.write_text(text[name.end() :], encoding="utf-8")
    (tmp_path / "files").mkdir()
    for split, pairs in LINES.items():
        tsv = [("id", "proverb", "meaning"), *(("0", *pair) for pair in pairs)]
        lines = "".join("\t".join(row) + "\n" for row in tsv)
        (tmp_path / "files" / f"{split}.tsv").write_text(lines)
        (tmp_path / "files" / split).write_text("".join(f"{s} ||| {t}\n" for s, t in pairs))
    return tmp_path


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.thorough
def test_the_added_corpora_train_alone_and_in_a_mixture(checkout: Path) -> None:
    added = [command for command in commands() if command[0] in ADDED]
    assert [command[0] for command in added] == list(ADDED)
    mixture = ["data=mixture", *(f"+data@data.corpora.{c[0][5:]}={c[0][5:]}" for c in added)]
    mixture += [f"data.corpora.{c[0][5:]}.root=files" for c in added]
    for run, overrides in {"one": added[1], "mixed": [*mixture, "data.temperature=2"]}.items():
        trained = subprocess.run(
            [
                *(sys.executable, "-m", "seq2seq.cli.train"),
                *(x.replace("=FOLDER", "=files") for x in overrides),
                *("data.subwords.size=60", "data.subwords.byte_fallback=false"),
                *("model.hidden_size=8", "model.embedding_size=8", "trainer.max_steps=1"),
                *("trainer.accelerator=cpu", "schedule=constant", "validation.every_n_steps=1"),
                *("test.split=null", f"hydra.run.dir={run}"),
            ],
            cwd=checkout,
            env={**os.environ, "PYTHONPATH": str(checkout)},
            capture_output=True,
            text=True,
            timeout=280,
        )
        assert trained.returncode == 0, trained.stdout + trained.stderr
    assert "an epoch has 60 pairs: 30 from the 30 of proverbs, 30 from the 30 of barred" in (
        (checkout / "mixed" / "train.log").read_text()
    )
