"""The import floors: checked by import-linter, and by what modules really load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


def test_every_module_imports_only_from_floors_below() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run(
        [command, "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("modules", "never"),
    [
        (
            ["seq2seq.mappings", "seq2seq.models", "seq2seq.search"],
            ["hydra", "lightning", "datasets", "sentencepiece", "seq2seq.data"],
        ),
        (
            ["seq2seq.tasks.translation", "seq2seq.checkpoint", "seq2seq.explore.collecting"],
            ["lightning", "seq2seq.training", "starlette", "plotly"],
        ),
        # So that --help and mistakes answer at once.
        (["seq2seq.cli.explore", "seq2seq.cli.train"], ["torch", "lightning"]),
    ],
)
def test_importing_modules_does_not_load(modules: list[str], never: list[str]) -> None:
    script = f"import sys, {', '.join(modules)}; print(*[m for m in {never!r} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []
