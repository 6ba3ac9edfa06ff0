"""Made-up sentences, and a separate cache for every test."""

import random
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict

from seq2seq.data import VocabularyPair, train_subwords

SOURCE = [
    "the",
    "a",
    "small",
    "large",
    "red",
    "green",
    "old",
    "young",
    "dog",
    "cat",
    "house",
    "tree",
    "man",
    "woman",
    "sees",
    "likes",
    "hears",
]
TARGET = [
    "der",
    "ein",
    "kleine",
    "große",
    "rote",
    "grüne",
    "alte",
    "junge",
    "Hund",
    "Katze",
    "Haus",
    "Baum",
    "Mann",
    "sieht",
    "mag",
    "hört",
]


def sentences(count: int, seed: int) -> dict[str, list[str]]:
    draw = random.Random(seed)
    pairs = []
    for _ in range(count):
        length = draw.randint(1, 20)
        source = " ".join(draw.choices(SOURCE, k=length))
        target = " ".join(draw.choices(TARGET, k=max(1, length + draw.randint(-3, 3))))
        pairs.append((source, target))
    source, target = map(list, zip(*pairs, strict=True))
    return {"source": source, "target": target}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("SEQ2SEQ_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def texts() -> DatasetDict:
    sizes = {"train": 600, "validation": 50, "test": 50}
    return DatasetDict(
        {
            name: Dataset.from_dict(sentences(size, seed))
            for seed, (name, size) in enumerate(sizes.items())
        }
    )


@pytest.fixture(scope="session")
def subwords(texts: DatasetDict, tmp_path_factory: pytest.TempPathFactory) -> VocabularyPair:
    folder = tmp_path_factory.mktemp("subwords")
    return train_subwords(texts["train"], size=350, cache_folder=folder)
