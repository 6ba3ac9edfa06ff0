"""The benchmark of attention compares the costs of two mappings on the same batches."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "bench_attention.py"
TINY = [
    *("--steps", "1", "--turns", "3", "--batch-tokens", "200", "--threads", "1"),
    "data.corpus.train_size=300",
    "data.corpus.validation_size=4",
    "data.corpus.test_size=4",
    "data.subwords.size=400",
]


@pytest.mark.e2e
@pytest.mark.thorough
@pytest.mark.slow
def test_every_mapping_is_compared_with_the_first(tmp_path: Path) -> None:
    options = ["--models", "recurrent,transformer", "--attention", "softmax,fusedmax,sparsemax"]
    result = subprocess.run(
        [sys.executable, SCRIPT, *TINY, *options, "--json", "found.json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    found = json.loads((tmp_path / "found.json").read_text())["results"]
    assert [(row["model"], row["attention"]) for row in found] == [
        (model, attention)
        for model in ("recurrent", "transformer")
        for attention in ("softmax", "fusedmax", "sparsemax")
    ]
    for row in found:
        assert len(row["seconds"]) == 3
        assert (row["ratio"] == 1) == (row["attention"] == "softmax")
        assert bool(row["verdict"]) == (row["attention"] == "fusedmax")
