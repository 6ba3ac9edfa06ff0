"""The benchmark of losses runs and checks its bars; tests do not check the speed."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
TINY = ["--threads", "1", "--rounds", "2"]

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.thorough]


def bench(cwd: Path, *arguments: str) -> dict[str, Any]:
    result = subprocess.run(
        [
            *(sys.executable, REPOSITORY / "scripts" / "bench_losses.py"),
            *(*TINY, *arguments, "--output", "found.json"),
        ],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert [path.name for path in cwd.iterdir()] == ["found.json"]
    return json.loads((cwd / "found.json").read_text())


def test_every_loss_races_on_every_kind_of_logits(tmp_path: Path) -> None:
    found = bench(tmp_path, "--shapes", "3x50,2x32000")
    ours = {"softmax", "sparsemax", "entmax 1.5", "entmax 1.3", "fusedmax", "oscarmax"}
    peers = 3 if importlib.util.find_spec("entmax") else 0
    names = {result["contender"] for result in found["results"]}
    assert ours | {"cross-entropy", "normmax", "sqpnormmax"} <= names
    assert len(found["results"]) == 2 * 3 * (9 + peers)
    for result in found["results"]:
        rounds = 1 if ":" in result["contender"] else 2
        assert len(result["seconds"]) == rounds, "the round that warms up does not count"
        assert min(result["seconds"]) > 0
    assert {(bar["contender"], bar["vocabulary"]) for bar in found["bars"]} == {
        (name, 32_000) for name in ("sparsemax", "entmax 1.5", "entmax 1.3")
    }
    for bar in found["bars"]:
        assert bar["met"] == (bar["ratio"] <= bar["bar"] == 1.5)


def test_smoothing_is_for_those_who_have_it(tmp_path: Path) -> None:
    found = bench(tmp_path, "--shapes", "3x50", "--logits", "trained", "--smoothing", "0.1")
    assert not found["bars"]
    assert not any(":" in result["contender"] for result in found["results"])
    assert {result["logits"] for result in found["results"]} == {"trained"}
