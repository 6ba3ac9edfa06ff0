"""Every reader takes a bad file or refuses it by an error of ours that names it; never another end.

The same files by the thousand, with limits of time and memory: ``scripts/fuzz_readers.py``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from fuzz_targets import TARGETS, verdict

#: Of those that do much with a file.
FEWER = ("config.yaml", "model.safetensors", "subwords.model", "input lines", "questions")


@pytest.mark.parametrize("name", TARGETS)
def test_good_files_are_accepted(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    packed = [seed if target.pack is None else target.pack(seed) for seed in target.seeds()]
    kinds = [verdict(target, seed, tmp_path / "work") for seed in packed]
    assert ("accepted", "") in kinds


@pytest.mark.parametrize("name", TARGETS)
def test_bad_files_are_refused_by_our_error(name: str, tmp_path: Path) -> None:
    @settings(
        max_examples=5 if name in FEWER else 20,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 2**32 - 1))
    def check(number: int) -> None:
        kind, message = verdict(
            TARGETS[name], TARGETS[name].spoiled(Random(number)), tmp_path / "w"
        )
        assert kind in ("accepted", "refused"), f"--start {number}: {message}"

    check()
