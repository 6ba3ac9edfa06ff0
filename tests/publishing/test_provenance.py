"""A run folder records what its numbers depend on."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from seq2seq.publishing.provenance import read_provenance, write_provenance


def test_another_number_of_threads_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    corpus: Any = SimpleNamespace(source_language="a", target_language="b")
    data: Any = SimpleNamespace(splits=[])
    caplog.set_level(logging.WARNING)
    threads = torch.get_num_threads()
    for _ in range(2):
        write_provenance(tmp_path, corpus, data)
    assert not caplog.messages
    assert json.loads((tmp_path / "provenance.json").read_text())["threads"] == threads
    try:
        torch.set_num_threads(threads + 1)
        write_provenance(tmp_path, corpus, data)
    finally:
        torch.set_num_threads(threads)
    assert f"set OMP_NUM_THREADS={threads}" in caplog.text


@pytest.mark.parametrize("link", ["provenance.json", ".hydra/overrides.yaml", ".hydra"])
def test_links_in_a_run_folder_are_not_followed(
    run_folder: Path, tmp_path: Path, link: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / ".hydra").mkdir(parents=True)
    (elsewhere / "provenance.json").write_text('{"torch": "a secret"}')
    (elsewhere / ".hydra" / "overrides.yaml").write_text("- a secret")
    shutil.rmtree(run_folder / ".hydra")
    (run_folder / link).parent.mkdir(exist_ok=True)
    (run_folder / link).symlink_to(elsewhere / link)
    assert read_provenance(run_folder / "checkpoints" / "best") == {}
