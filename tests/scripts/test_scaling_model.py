"""The page on scaling has the tables of its script, and valid commands."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "scaling.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"-m seq2seq\.cli\.(\w+) ((?:[^\n`\\]|\\\n)*)", PAGE)


def test_the_page_prints_what_the_script_computes() -> None:
    result = subprocess.run(
        [sys.executable, REPOSITORY / "scripts" / "scaling_model.py"],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert result.returncode == 0, result.stderr
    tables = result.stdout.strip().split("\n\n")
    assert len(tables) == 3
    assert all(table in PAGE for table in tables), "paste what it prints into docs/scaling.md"


@pytest.mark.parametrize(("name", "arguments"), COMMANDS)
def test_commands_choose_what_there_is(name: str, arguments: str) -> None:
    overrides = [
        argument
        for argument in shlex.split(arguments.replace("\\\n", " "))
        if "=" in argument and not argument.startswith("resume=")
    ]
    with initialize_config_dir(str(REPOSITORY / "configs"), version_base="1.3"):
        composed = compose(name, overrides)
    if composed.get("trainer") and len(overrides) > 10:
        tokens = composed.data.batch.tokens * composed.trainer.accumulate_grad_batches
        machines = 8 if composed.trainer.accumulate_grad_batches == 1 else 1
        assert tokens * 8 * machines == 393_216, "as the tables have it"
