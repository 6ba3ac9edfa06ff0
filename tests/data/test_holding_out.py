"""Holding out a share of the training pairs for validation."""

import logging

import pytest
from datasets import Dataset, DatasetDict

from seq2seq.data import DataError
from seq2seq.data.parallel import prepare

SETTINGS = {"kind": "word"}


class Numbers:
    source_language = target_language = "number"
    next_step = ""

    def __init__(self, *names):
        self.names = names

    def load(self):
        pairs = {
            "source": [f"number {n}" for n in range(200)],
            "target": [str(n) for n in range(200)],
        }
        pairs["label"] = [f"{n % 3}" for n in range(200)]
        return DatasetDict({name: Dataset.from_dict(pairs) for name in self.names})


def test_the_same_pairs_are_held_out_in_every_run_and_logged(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        data = [
            prepare(
                Numbers("train"),
                subwords=SETTINGS,
                validation_share=0.1,
                needed=["validation"],
                labels=["0", "1", "2"],
                cache=tmp_path / name,
            )
            for name in ("a", "b", "a")
        ]
    assert "20 of 200 training pairs are held out for validation" in caplog.text
    held = [list(d.split("validation")["source"]) for d in data]
    assert held[0] == held[1] == held[2]
    assert held[0] != [f"number {n}" for n in range(20)], "drawn, not the first ones"
    assert {*held[0], *data[0].split("train")["source"]} == {f"number {n}" for n in range(200)}
    assert len(data[0].split("train")) == 180
    numbers = [int(text) for text in data[0].split("validation")["target"]]
    assert data[0].encoded("validation").labels.tolist() == [n % 3 for n in numbers]


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, 0.9999, 7])
def test_a_share_that_leaves_no_pair_is_refused(tmp_path, share):
    with pytest.raises(DataError, match=r"data\.validation_share=.* between 0 and 1"):
        prepare(Numbers("train"), subwords=SETTINGS, validation_share=share, cache=tmp_path)


def test_a_split_that_is_missing_is_refused_before_subwords_are_trained(tmp_path):
    with pytest.raises(
        DataError,
        match=r"no split validation, only train; set data\.validation .*"
        r"data\.validation_share=0\.01",
    ):
        prepare(Numbers("train"), needed=["validation"], cache=tmp_path)
    with pytest.raises(DataError, match=r"test\.split=tset: the corpus has no such split"):
        prepare(Numbers("train", "validation"), needed=["validation", "tset"], cache=tmp_path)
    with pytest.raises(DataError, match="remove one of them"):
        prepare(Numbers("train", "validation"), validation_share=0.1, cache=tmp_path)
    assert not (tmp_path / "subwords").exists()
