from __future__ import annotations

from pathlib import Path

import pytest
from run_folders import WriteRun, writer


@pytest.fixture
def write_run(tmp_path: Path) -> WriteRun:
    return writer(tmp_path)
