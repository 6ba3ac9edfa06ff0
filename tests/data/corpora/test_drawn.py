"""Generated corpora are drawn once, and then read from the cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from seq2seq.data.corpora import drawn
from seq2seq.data.corpora.toy import Toy
from seq2seq.data.corpora.toy_entailment import ToyEntailment
from seq2seq.data.corpora.toy_headlines import ToyHeadlines

SIZES = {"train_size": 20, "validation_size": 3, "test_size": 4}


@pytest.mark.parametrize("kind", [Toy, ToyHeadlines, ToyEntailment])
def test_the_second_time_nothing_is_drawn_and_the_texts_are_the_same(
    kind: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = kind(**SIZES, cache_folder=tmp_path).load()
    monkeypatch.setattr(kind, "_split", None)
    again = kind(**SIZES, cache_folder=tmp_path).load()
    assert list(again) == ["train", "validation", "test"]
    for split in again:
        assert list(again[split]) == list(first[split])
        assert again[split]._fingerprint == first[split]._fingerprint  # ids are found in the cache


def test_other_arguments_and_other_generators_are_drawn_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [Toy(**SIZES, seed=seed, cache_folder=tmp_path).load()["test"][0] for seed in (1, 2)]
    assert texts[0] != texts[1]
    before = len([*tmp_path.rglob("*.arrow")])
    monkeypatch.setattr(drawn, "_source_key", lambda: "a grammar that was changed")
    Toy(**SIZES, cache_folder=tmp_path).load()
    assert len([*tmp_path.rglob("*.arrow")]) == before + 3


def test_damaged_entries_and_read_only_caches_draw_the_corpus_again(tmp_path: Path) -> None:
    first = Toy(**SIZES, cache_folder=tmp_path).load()
    wanted = {split: list(first[split]) for split in first}
    for path in tmp_path.rglob("*.train.arrow"):
        path.unlink()
        path.write_bytes(b"damaged")
    again = Toy(**SIZES, cache_folder=tmp_path).load()
    assert {split: list(again[split]) for split in again} == wanted
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    without = Toy(**SIZES, cache_folder=in_the_way).load()
    assert {split: list(without[split]) for split in without} == wanted
