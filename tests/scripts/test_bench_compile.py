"""The benchmark of `compile=default` trains both models side by side, and compiles once."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
TINY = [
    *("--models", "transformer", "--batch-tokens", "200", "--steps", "2", "--turns", "1"),
    "data.corpus.train_size=200",
    "data.corpus.validation_size=4",
    "data.subwords.size=400",
    "model.size=16",
    "model.encoder_layers=1",
    "model.decoder_layers=1",
    "compile.backend=aot_eager",
    "seed=2",  # by which the first batch has sides of different lengths
]


@pytest.mark.e2e
@pytest.mark.thorough
@pytest.mark.slow
def test_the_compiled_model_races_the_eager_one(tmp_path: Path) -> None:
    script = REPOSITORY / "scripts" / "bench_compile.py"
    result = subprocess.run(
        [sys.executable, script, *TINY],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert result.returncode == 0, result.stdout + result.stderr
    row = re.search(r"transformer +│ softmax +│(.+)│", result.stdout)
    assert row, result.stdout
    cells = [cell.strip() for cell in row[1].split("│")]
    assert cells[4] == "1 + 0", "graphs of the first step, and of all others"
    assert len(set(cells[6].split(" | "))) == 1, "the same losses"
