"""The benchmark of start-up runs the real commands, and compares them with `import torch`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
TINY = ["data.corpus.train_size=200", "data.corpus.validation_size=4", "data.subwords.size=400"]


@pytest.mark.e2e
@pytest.mark.thorough
@pytest.mark.slow
def test_it_times_the_first_step_and_a_translation(tmp_path: Path) -> None:
    script = REPOSITORY / "scripts" / "bench_startup.py"
    wanted = ["--turns", "1", "--only", "first step,translate", "--imports", "2"]
    result = subprocess.run(
        [sys.executable, script, *wanted, *TINY],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    for name in ("import torch", "seq2seq-train, first step", "seq2seq-translate, a line"):
        assert re.search(rf"{name} +│ +[\d.]+ │ +[\d.]+ │ +[\d.]+ │", result.stdout), result.stdout
        assert re.search(rf"{name}: torch [\d.]+", result.stdout), result.stdout
    assert "evaluate" not in result.stdout
