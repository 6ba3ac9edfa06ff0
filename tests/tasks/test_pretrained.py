"""Pretrained word vectors start the embeddings of models that write text."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from seq2seq.data.subwords import Subwords
from seq2seq.data.vocabulary_pair import VocabularyPair
from seq2seq.data.words import Words
from seq2seq.mappings import Softmax
from seq2seq.models.recurrent import Recurrent
from seq2seq.system.errors import DataError
from seq2seq.tasks.summarization import Summarization
from seq2seq.tasks.translation import Translation

WORDS = VocabularyPair(Words.of(["dog", "cat", "tree"]), Words.of(["chien", "chat", "arbre"]))
DOG, CAT, TREE = 4, 5, 6


def model(tied: str = "none", size: int = 4) -> Recurrent:
    torch.manual_seed(1)
    return Recurrent(
        7, 7, mapping=Softmax(), embedding_size=size, hidden_size=size, tie_embeddings=tied
    )


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    path = tmp_path / "vectors.txt"
    path.write_text("dog 3 0 0 0\ncat 0 5 0 0\nchat 0 0 0 2\nhouse 1 1 1 1\n")
    return path


@pytest.mark.parametrize("task", [Translation, Summarization])
def test_words_of_the_file_start_with_its_vectors_at_a_mean_length_of_1(
    task: type[Translation] | type[Summarization], vectors: Path, tmp_path: Path
) -> None:
    random, started = model(), model()
    task(source_embeddings=vectors).initialize(started, WORDS, cache=tmp_path)
    table = started.source_embedding.weight
    torch.testing.assert_close(table[DOG], torch.tensor([0.75, 0, 0, 0]))
    torch.testing.assert_close(table[CAT], torch.tensor([0, 1.25, 0, 0]))
    assert torch.equal(table[TREE], random.source_embedding.weight[TREE])
    assert torch.equal(started.target_embedding.weight, random.target_embedding.weight)


def test_each_side_has_a_file_of_its_own_unless_both_share_one_table(
    vectors: Path, tmp_path: Path
) -> None:
    task = Translation(source_embeddings=vectors, target_embeddings=vectors)
    started = model("target")
    task.initialize(started, WORDS, cache=tmp_path)
    torch.testing.assert_close(started.target_embedding.weight[CAT], torch.tensor([0, 0, 0, 1.0]))
    assert started.output.weight is started.target_embedding.weight
    with pytest.raises(ValueError, match="tie_embeddings=all has one table for both sides"):
        task.initialize(model("all"), WORDS, cache=tmp_path)


def test_vectors_that_do_not_fit_are_refused(vectors: Path, tmp_path: Path) -> None:
    task = Translation(target_embeddings=vectors)
    with pytest.raises(ValueError, match=r"set model\.embedding_size=4"):
        task.initialize(model(size=6), WORDS, cache=tmp_path)
    pieces = SimpleNamespace(source=WORDS.source, target=Subwords.__new__(Subwords))
    with pytest.raises(DataError, match=r"task\.target_embeddings=.*set data\.subwords\.kind=word"):
        task.initialize(model(), pieces, cache=tmp_path)  # type: ignore[arg-type]
