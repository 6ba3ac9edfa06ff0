"""Accidents do not change what training ends with."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "soak.py"


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits a process from outside")
def test_a_run_with_accidents_ends_with_the_weights_of_one_without() -> None:
    result = subprocess.run(
        [sys.executable, SCRIPT, "--accidents", "4", "--seed", "1"],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "the undisturbed run is the same" in result.stdout
    assert re.search(r"1 damage", result.stdout)
    assert re.search(r"1 disk full", result.stdout)
    assert re.search(r"states found damaged, the one before used: [1-9]", result.stdout)
