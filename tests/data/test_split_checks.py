"""Warnings about splits that share pairs with train or have swapped sides."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict

from seq2seq.data.corpora.toy import Toy
from seq2seq.data.split_checks import are_swapped, pairs_in_both, warn_of_splits


def of(pairs: list[tuple[str, str]]) -> Dataset:
    sources, targets = zip(*pairs, strict=True)
    return Dataset.from_dict({"source": sources, "target": targets})


def test_pairs_count_as_shared_where_both_sides_are_equal() -> None:
    train = of([("a", "x"), ("a", "y"), ("b", "z"), ("c", "w")])
    assert pairs_in_both(train, of([("a", "y"), ("b", "x"), ("c", "w"), ("c", "w")])) == 3
    assert pairs_in_both(train, of([("d", "x")])) == 0
    assert pairs_in_both(train.select([3, 2]), of([("a", "y"), ("b", "z")])) == 1


def test_the_toy_corpus_shares_nothing_and_swapped_sides_are_seen(
    caplog: pytest.LogCaptureFixture,
) -> None:
    texts = Toy(train_size=400, validation_size=40, test_size=40).load()
    warn_of_splits(texts)
    assert caplog.text == ""
    validation = texts["validation"]
    turned = {"source": validation["target"], "target": validation["source"]}
    leaked = texts["train"].select(range(4)).to_dict()
    texts = DatasetDict(
        train=texts["train"],
        validation=Dataset.from_dict(turned),
        test=Dataset.from_dict({side: leaked[side] for side in turned}),
    )
    warn_of_splits(texts)
    assert "4 of 4 pairs of the split test are in train too" in caplog.text
    assert caplog.text.count("seem to be swapped") == 1
    assert "source and target of the split validation seem" in caplog.text


def test_sides_of_one_language_are_not_swapped() -> None:
    lines = Toy(train_size=400, validation_size=4, test_size=4).load()["train"]["source"]
    train, other = (
        of(list(zip(part[::2], part[1::2], strict=True))) for part in (lines, lines[:20])
    )
    assert not are_swapped(train, other)


def test_the_validation_split_of_eutrans_is_partly_in_train(external_corpora: Path) -> None:
    """A real leak: 37 of 100."""
    folder = external_corpora / "eutrans-es-en"

    def split(name: str) -> Dataset:
        sides = (
            gzip.decompress((folder / f"{name}.{side}.gz").read_bytes()).decode().splitlines()
            for side in ("es", "en")
        )
        return of(list(zip(*sides, strict=True)))

    assert pairs_in_both(split("train"), split("dev")) == 37
    assert not are_swapped(split("train"), split("dev"))
