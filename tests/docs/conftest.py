"""A shell and files for the pages of the documentation."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from page_files import Files
from page_shell import Shell, shell


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Create the files that commands name; runs are trained once per session."""
    return Files(tmp_path_factory.mktemp("trained") / "runs")


@pytest.fixture
def page_shell(tmp_path: Path, files: Files) -> Iterator[Shell]:
    """Return a shell in an empty folder."""
    (tmp_path / "here").mkdir()
    short = Path(tempfile.mkdtemp(prefix="pages"))  # the names of sockets may not be long
    with shell(tmp_path / "here", tmp_path / "bin", short / "socket", files) as running:
        yield running
    shutil.rmtree(short)
