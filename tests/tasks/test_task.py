"""Tasks: their models, their entries in checkpoints, and further references."""

from __future__ import annotations

import pytest
from datasets import Dataset
from torch import nn

from seq2seq.checkpoint import CheckpointError, checkpoint_task
from seq2seq.data.corpora.corpus import references
from seq2seq.tasks.translation import Translation


def test_a_model_of_another_task_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"Linear cannot do the task Translation.*Decodable"):
        Translation().check_model(nn.Linear)


def test_a_checkpoint_without_a_task_translates() -> None:
    assert isinstance(checkpoint_task({"task": {"name": "translation"}}), Translation)
    assert isinstance(checkpoint_task({}), Translation)


def test_a_checkpoint_may_name_tasks_only() -> None:
    for target in ("seq2seq.search.greedy.Greedy", "os.system"):
        with pytest.raises(CheckpointError):
            checkpoint_task({"task": {"_target_": target}})


def test_a_change_that_the_task_lacks_is_an_error() -> None:
    with pytest.raises(CheckpointError, match="Translation"):
        checkpoint_task({}, {"protocol": "duc"})


def test_reference_sets_come_in_the_order_of_their_numbers() -> None:
    columns = {f"target_{k}": [f"r{k}"] for k in (10, 2, 3)}
    texts = Dataset.from_dict({"source": ["s"], "target": ["r1"], **columns, "target_x": ["no"]})
    assert references(texts) == [["r1"], ["r2"], ["r3"], ["r10"]]


def test_every_reference_counts_in_the_score() -> None:
    hypotheses = ["the cat sat on the mat today"]
    sets = [["a dog stood there for a while"], ["the cat sat on the mat today"]]
    found = Translation().scores(hypotheses, sets, ["bleu"])
    assert found["bleu"]["score"] == pytest.approx(100.0)
    assert "nrefs:2" in found["bleu"]["signature"]
    assert list(found) == ["bleu"]
