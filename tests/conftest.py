"""What all tests share: one thread a process, no network, the place of the external corpora."""

from __future__ import annotations

import os
from pathlib import Path

# Before torch is imported: with `pytest -n auto` each worker has its own core.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")

import pytest
import torch
from datasets import Dataset

from seq2seq.data.subword_training import train_subwords
from seq2seq.data.subwords import SubwordPair

torch.set_num_threads(1)

REPOSITORY = Path(__file__).parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason="no CUDA device")
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def external_corpora() -> Path:
    """The folder of real corpora, which are not part of the project."""
    named = os.environ.get("SEQ2SEQ_SHARED")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the external corpora are not here ({folder}); set SEQ2SEQ_SHARED")
    return folder


@pytest.fixture(scope="session")
def subwords(tmp_path_factory: pytest.TempPathFactory) -> SubwordPair:
    """A small joint model of real SentencePiece."""
    lines = [f"a small sentence number {n} with words" for n in range(200)]
    split = Dataset.from_dict({"source": lines, "target": lines})
    return train_subwords(
        split, size=60, byte_fallback=False, cache_folder=tmp_path_factory.mktemp("cache")
    )


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prepared corpora go to a folder of this test session, never to the user's cache."""
    folder = tmp_path_factory.getbasetemp() / "seq2seq-cache"
    monkeypatch.setenv("SEQ2SEQ_CACHE", str(folder))
