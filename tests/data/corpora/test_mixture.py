import pytest
import torch
from datasets import Dataset, DatasetDict

from seq2seq.data import DataError, ParallelData, prepare
from seq2seq.data.corpora.mixture import Mixture


class Named:
    """A corpus of sentences that begin with its name."""

    source_language, target_language = "de", "en"

    def __init__(self, name, **sizes):
        self.name, self.sizes = name, sizes

    def load(self):
        return DatasetDict(
            {
                split: Dataset.from_dict(
                    {
                        side: [f"{self.name} {split} {side} {k}" for k in range(size)]
                        for side in ("source", "target")
                    }
                )
                for split, size in self.sizes.items()
            }
        )


@pytest.fixture
def corpora():
    return {
        "big": {"corpus": Named("big", train=300, test=4), "filters": None, "batch": {}},
        "small": {"corpus": Named("small", train=30, validation=5, test=6)},
    }


def prepared(mixture, tmp_path):
    settings = {"size": 60, "byte_fallback": False}
    return prepare(mixture, subwords=settings, cache=tmp_path)


def test_splits_of_each_corpus_and_those_to_validate_on(corpora):
    splits = Mixture(corpora).load()
    assert len(splits["train"]) == 330
    assert set(splits) == {
        "train", "validation", "test", "big_test", "small_validation", "small_test",
    }  # fmt: skip
    assert splits["test"]["source"][0] == "small test source 0"
    corpora["big"]["corpus"].sizes["validation"] = 3
    assert len(Mixture(corpora).load()["validation"]) == 3
    assert len(Mixture(corpora, evaluation="small").load()["validation"]) == 5


def test_filters_of_a_corpus_are_its_own(corpora):
    corpora["big"]["filters"] = {"duplicates": True, "max_length": 3}
    with pytest.raises(DataError, match=r"^data\.corpora\.big: .*drop all 300"):
        Mixture(corpora).load()


def test_filters_are_logged_with_the_name_of_their_corpus(corpora, tmp_path, caplog):
    caplog.set_level("INFO")
    corpora["big"]["filters"] = {"copies": True}
    Mixture(corpora, cache_folder=tmp_path).load()
    assert "0 of 300 training pairs dropped: data.corpora.big.filters.copies=True" in caplog.text


def test_pairs_without_a_label_are_counted_under_all_names_of_their_split(corpora, tmp_path):
    corpora["big"]["corpus"].unlabeled = {"train": 2, "test": 1}
    corpora["small"]["corpus"].unlabeled = {"train": 0, "validation": 3, "test": 4}
    data = prepared(Mixture(corpora), tmp_path)
    counted = {split: data.unlabeled.get(split) for split in data.splits if split != "train"}
    assert counted == {
        "validation": 3, "test": 4, "big_test": 1, "small_validation": 3, "small_test": 4,
    }  # fmt: skip


def test_labels_are_looked_for_before_a_vocabulary_is_made(corpora, tmp_path, caplog):
    caplog.set_level("INFO")
    with pytest.raises(DataError, match=r"no column label.*labeled pairs \(of a mixture, each\)"):
        prepare(Mixture(corpora), labels=["yes", "no"], cache=tmp_path)
    assert "training" not in caplog.text


@pytest.mark.parametrize("num_workers", [0, 2])
def test_loader_draws_the_shares_and_resumes_exactly(corpora, tmp_path, num_workers):
    data = prepared(Mixture(corpora, weights={"big": 1, "small": 1}), tmp_path)
    loader = data.train_loader(256, seed=3, num_workers=num_workers)
    first = [torch.cat([batch.indices for batch in loader]).tolist() for _ in range(3)]
    assert all(len(rows) == 330 and sum(row >= 300 for row in rows) == 165 for rows in first)
    assert set(first[0] + first[1]) == set(range(330))  # 165 of 300 an epoch: two see them all
    batches = iter(loader)
    for _ in range(4):
        next(batches)
    state = loader.state_dict()
    again = prepared(Mixture(corpora, weights={"big": 1, "small": 1}), tmp_path)
    resumed = again.train_loader(256, seed=0, num_workers=num_workers)
    resumed.load_state_dict(state)
    for goes_on, new in ((batches, resumed), (loader, resumed)):  # this epoch, and the next
        pairs = list(zip(goes_on, new, strict=True))
        assert len(pairs) > 3
        assert all(torch.equal(a.source, b.source) for a, b in pairs)
        assert all(torch.equal(a.indices, b.indices) for a, b in pairs)


def test_ranks_share_a_mixed_epoch(corpora, tmp_path):
    data = prepared(Mixture(corpora, temperature=2.0), tmp_path)
    whole = torch.cat([batch.indices for batch in data.train_loader(256, seed=1)]).tolist()
    loaders = [data.train_loader(256, seed=1, rank=rank, world_size=3) for rank in range(3)]
    assert len({len(loader) for loader in loaders}) == 1
    seen = [index for loader in loaders for batch in loader for index in batch.indices.tolist()]
    assert sorted(seen) == sorted(whole)


def test_changed_shares_count_as_changed_data(corpora, tmp_path, caplog):
    old = prepared(Mixture(corpora), tmp_path).train_loader(256)
    new = prepared(Mixture(corpora, temperature=5.0), tmp_path).train_loader(256)
    next(iter(old))
    new.load_state_dict(old.state_dict())
    assert "epoch 0 starts over" in caplog.text


def test_a_corpus_whose_pairs_are_all_dropped_is_named(corpora, tmp_path):
    pair = prepared(Mixture(corpora), tmp_path).subwords
    corpora["long"] = {"corpus": Named("long " * 300, train=3)}
    mixture = Mixture(corpora)
    data = ParallelData(mixture.load(), pair, mixing=mixture.mixing, cache=tmp_path)
    with pytest.raises(DataError, match=r"drop all training pairs of data\.corpora\.long;"):
        data.train_loader()


def test_mixtures_that_cannot_be_are_refused(corpora):
    with pytest.raises(DataError, match=r"the mixture is empty; add corpora with \+data@data"):
        Mixture({})
    with pytest.raises(DataError, match=r"data\.evaluation=news is none of: big, small"):
        Mixture(corpora, evaluation="news")
    with pytest.raises(DataError, match="has a validation split: big"):
        Mixture(corpora, evaluation="big").load()
