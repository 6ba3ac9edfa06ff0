"""A run folder records what its numbers depend on."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from seq2seq.publishing.provenance import write_provenance


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
