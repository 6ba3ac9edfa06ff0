"""The steps of docs/publishing.md: push a run, use it from there, export it to PyTorch."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import SMALL, forked

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

GUIDE = Path(__file__).parents[2] / "docs" / "publishing.md"
TINY = [
    *SMALL,
    "trainer.max_steps=12",
    "validation.every_n_steps=12",
    "validation.heat_maps=0",
    "trainer.accelerator=cpu",
    "attention=fusedmax",
    "test.split=null",
    "hydra.run.dir=RUN",
]
SENTENCES = ["a small dog", "the old sailor sees a cat that sings", "rain"]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    result = forked("train", *TINY, cwd=folder)
    assert result.returncode == 0, result.stderr
    return folder


def test_a_pushed_checkpoint_says_how_it_was_made_and_translates(work: Path) -> None:
    result = forked("push", "checkpoint=RUN", "to=published", "name=tiny", cwd=work)
    assert result.returncode == 0, result.stderr
    assert "seq2seq-translate checkpoint=published" in result.stdout
    card = (work / "published" / "README.md").read_text()
    assert "# tiny\n" in card
    assert f"seq2seq-train {' '.join(TINY[:-1])}\n" in card
    assert "| examples | train 300, validation 12, test 12 |" in card
    assert "| languages | en → selvan |" in card
    text = "\n".join(SENTENCES)
    found = [
        forked("translate", f"checkpoint={place}", "search=greedy", cwd=work, stdin=text).stdout
        for place in ("RUN", "published")
    ]
    assert found[0] == found[1] != ""


def test_a_checkpoint_without_scores_is_pushed_with_a_warning(work: Path) -> None:
    (work / "published" / "metrics.json").unlink()
    result = forked("push", "checkpoint=published", "to=again", cwd=work)
    assert result.returncode == 0, result.stderr
    assert "has no scores" in result.stderr
    assert "Unknown: the checkpoint has no scores." in (work / "again" / "README.md").read_text()


@pytest.mark.thorough
def test_pytorch_alone_translates_with_the_exported_parts(work: Path) -> None:
    result = forked("export", "checkpoint=RUN", "output=exported", cwd=work)
    assert result.returncode == 0, result.stderr
    files = {path.name for path in (work / "exported").iterdir()}
    assert files == {"encoder.pt2", "step.pt2", "interface.json", "subwords.model", "README.md"}
    described = json.loads((work / "exported" / "interface.json").read_text())
    token = described["programs"]["step"]["inputs"][0]
    assert token == {"name": "token", "dtype": "int64", "shape": ["batch"]}
    (block,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    script = f"""
{block.replace('print(translate("a small sentence"))', "")}
for sentence in {SENTENCES!r}:
    print(translate(sentence))
import sys
assert not [name for name in sys.modules if name.startswith("seq2seq")]
"""
    alone = subprocess.run(
        [sys.executable, "-c", script],
        cwd=work,
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, "PYTHONUTF8": "1"},
    )
    assert alone.returncode == 0, alone.stderr
    own = forked(
        "translate", "checkpoint=RUN", "search=greedy", cwd=work, stdin="\n".join(SENTENCES)
    )
    assert alone.stdout.splitlines() == own.stdout.splitlines()


def test_a_model_that_cannot_be_exported_is_an_error(work: Path) -> None:
    result = forked("export", "checkpoint=RUN", "output=other", "format=tflite", cwd=work)
    assert result.returncode == 1
    assert "format=tflite is unknown; choose torch or onnx" in result.stderr
    (work / "mine").mkdir()
    (work / "mine" / "thesis.tex").write_text("years of work")
    result = forked("export", "checkpoint=RUN", "output=mine", cwd=work)
    assert result.returncode == 1
    assert "has other files" in result.stderr
