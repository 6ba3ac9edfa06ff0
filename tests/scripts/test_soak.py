"""Accidents do not change the result of training."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "soak.py"


@pytest.mark.e2e
@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits a process from outside")
def test_a_run_with_accidents_ends_with_the_weights_of_one_without() -> None:
    process = subprocess.Popen(
        [sys.executable, SCRIPT, "--accidents", "3", "--seed", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=900)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # and what it trains
    assert process.returncode == 0, output
    assert "the undisturbed run is the same" in output
    assert "1 KILL" in output
    assert "1 disk full" in output
    assert "1 damage" in output
    assert re.search(r"states found damaged, the one before used: [1-9]", output)
