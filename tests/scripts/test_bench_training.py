"""The benchmark of training runs, and its contenders are comparable."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
TINY = [
    *("--steps", "1", "--turns", "2", "--batch-tokens", "200", "--threads", "1"),
    "data.corpus.train_size=300",
    "data.corpus.validation_size=4",
    "data.corpus.test_size=4",
    "data.subwords.size=400",
]

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.thorough]


def bench(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, REPOSITORY / "scripts" / "bench_training.py", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=280,
    )


def races(cwd: Path, *arguments: str) -> list[dict[str, Any]]:
    result = bench(*TINY, *arguments, "--json", "found.json", cwd=cwd)
    assert result.returncode == 0, result.stdout + result.stderr
    return json.loads((cwd / "found.json").read_text())["races"]


def test_every_model_races_in_all_three_loops(tmp_path: Path) -> None:
    found = races(tmp_path)
    assert [race["model"] for race in found] == ["feeding", "recurrent", "transformer"]
    for race in found:
        for speeds in race["tokens_per_second"].values():
            assert len(speeds) == 2, "the turn that warms up does not count"
            assert min(speeds) > 0
        assert {"plain", "ours", "run"} <= set(race["ratio"])
        assert 0.5 < race["filled"] <= 1
        for loop, peak in race["peak_bytes"].items():
            assert peak >= race["ready_bytes"][loop] > 1 << 20
        measured = race["measured"]
        assert measured["seconds_of_a_save"] > 0
        assert measured["sentences"] == 4
        assert measured["seconds_of_a_validation"] > 0
        assert "memory of training ÷ plain" in race["bars"]
    assert [path.name for path in tmp_path.iterdir()] == ["found.json"]


def test_mappings_half_precision_and_validation_are_options(tmp_path: Path) -> None:
    options = ["--models", "transformer", "--attention", "softmax,fusedmax", "--precision", "bf16"]
    found = races(tmp_path, *options, "--sentences", "0")
    assert [race["attention"] for race in found] == ["softmax", "fusedmax"]
    assert all("sentences" not in race["measured"] for race in found)
    assert "bf16" in json.loads((tmp_path / "found.json").read_text())["caption"]


def test_models_of_unlike_size_are_not_compared(tmp_path: Path) -> None:
    unlike = ["--models", "recurrent", "model.bridge=linear"]
    result = bench(*TINY, *unlike, cwd=tmp_path)
    assert result.returncode == 1
    assert "differ in number" in result.stderr
