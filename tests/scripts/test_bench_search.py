"""The benchmark of search runs, and every system in it writes equally many tokens."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
TINY = [
    *("--sentences", "6", "--batch", "3", "--tokens", "4", "--models", "recurrent"),
    "data.corpus.train_size=300",
    "data.corpus.validation_size=4",
    "data.corpus.test_size=6",
    "data.subwords.size=400",
    "model.embedding_size=8",
    "model.hidden_size=8",
]


@pytest.mark.e2e
@pytest.mark.thorough
@pytest.mark.slow
def test_our_beam_races_the_plain_loop_and_itself(tmp_path: Path) -> None:
    script = REPOSITORY / "scripts" / "bench_search.py"
    result = subprocess.run(
        [sys.executable, script, *TINY, "--json", "found.json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    races = json.loads((tmp_path / "found.json").read_text())["races"]
    pairs = [(race["race"]["ours"], race["race"]["peer"]) for race in races]
    assert pairs == [
        ("ours", "plain"),
        ("with attention", "ours"),
        ("sparsemax", "ours"),
        ("fusedmax", "ours"),
    ]
    for race in races:
        assert race["sentences"] == [3, 3]
        assert min(race["ours"] + race["peer"]) > 0
        assert race["ratio"] > 0
