"""Small models with random weights, texts with gold alignments, and a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset

from seq2seq.checkpoint import Checkpoint
from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.mappings import Entmax, Fusedmax
from seq2seq.models import Recurrent, Transformer
from seq2seq.search import Beam
from seq2seq.tasks.translation import Translation

# The flags keep the browser from its own errands on the network.
CHROMIUM = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium, driven by Playwright."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip(f"no Chromium on the path ({', '.join(names)})")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture
def texts() -> Dataset:
    """Six sentences, of different lengths, translating word by word."""
    lines = ["a small sentence", "number 7 with words", "words", "with a number", "7", "a a a"]
    links = [" ".join(f"{i}-{i}" for i in range(len(line.split()))) for line in lines]
    return Dataset.from_dict({"source": lines, "target": lines, "alignment": links})


@pytest.fixture
def checkpoints(subwords: VocabularyPair) -> list[Checkpoint]:
    """Build a recurrent model with fusedmax, and a Transformer of two layers with entmax."""
    torch.manual_seed(0)
    size = subwords.source.size
    recurrent = Recurrent(
        size, size, mapping=Fusedmax(gamma=0.5, lam=0.05), embedding_size=16, hidden_size=16
    )
    kinds = {f"{place}_mapping": Entmax(1.5) for place in ("cross", "encoder", "decoder")}
    transformer = Transformer(
        *(size, size),
        **kinds,
        size=16,
        feedforward_size=16,
        heads=2,
        encoder_layers=1,
        decoder_layers=2,
        max_length=64,
    )
    for model in (recurrent, transformer):  # at their first weights, models look everywhere alike
        for parameter in model.parameters():
            parameter.data.mul_(2.0)
    return [
        Checkpoint(Path(name), Translation(), model.eval(), subwords, {})
        for name, model in (("fused", recurrent), ("sparse", transformer))
    ]


@pytest.fixture
def search() -> Beam:
    return Beam(beam_size=2, max_length_ratio=1.0, max_length_offset=3)
