import itertools
import logging

import pytest
import torch
from datasets import DatasetDict

from seq2seq.data import ParallelData
from seq2seq.system.processes import Group


@pytest.fixture
def data(texts, subwords):
    return ParallelData(texts, subwords)


def assert_same(a, b):
    a, b = list(a), list(b)
    assert len(a) == len(b) > 0
    for x, y in zip(a, b, strict=True):
        present = [name for name, value in vars(x).items() if value is not None]
        assert all(torch.equal(vars(x)[name], vars(y)[name]) for name in present)


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("position", [1, 7])
def test_batches_after_a_restored_position_are_bit_identical(data, num_workers, position):
    first = data.train_loader(512, seed=3, num_workers=num_workers)
    list(first)  # epoch 0
    batches = iter(first)
    for _ in range(position):
        next(batches)
    state = first.state_dict()
    second = data.train_loader(512, seed=99, num_workers=num_workers)
    second.load_state_dict(state)
    assert_same(batches, second)
    assert_same(first, second)  # the epoch after


def test_the_number_of_batches_of_another_plan_is_not_kept(texts, subwords):
    """One process that goes on as four would otherwise have four times as many, tiny ones."""
    data = ParallelData(texts, subwords, sampling={"alpha": 0.2, "nbest": -1})
    many = data.train_loader(512, seed=1)
    few = data.train_loader(512, seed=1, rank=0, world_size=4)
    expected = len(few)
    few.load_state_dict(many.state_dict())
    assert len(few) == expected < len(many)


def test_the_position_counts_yielded_batches_not_prepared_ones(data):
    loader = data.train_loader(512, num_workers=2)
    batches = iter(loader)
    for _ in range(3):
        next(batches)
    assert loader.state_dict()["position"] == 3


def test_each_epoch_has_all_sentences_once_in_another_order(data):
    loader = data.train_loader(512, seed=1)
    orders = [torch.cat([batch.indices for batch in loader]).tolist() for _ in range(3)]
    assert all(sorted(order) == list(range(600)) for order in orders)
    assert orders[0] != orders[1] != orders[2]


def test_ranks_share_an_epoch_without_overlap(data):
    loaders = [data.train_loader(512, seed=1, rank=rank, world_size=3) for rank in range(3)]
    assert len({len(loader) for loader in loaders}) == 1
    seen = [index for loader in loaders for batch in loader for index in batch.indices.tolist()]
    assert sorted(seen) == list(range(600))


def test_an_iterator_made_in_advance_changes_nothing(data):
    """Lightning makes its iterator before it says that an epoch begins."""
    plain, told = data.train_loader(512, seed=1), data.train_loader(512, seed=1)
    iter(told)
    assert_same(plain, told)
    iter(told)
    assert_same(plain, told)


def test_loading_leaves_the_global_random_state_alone(data):
    before = torch.random.get_rng_state()
    next(iter(data.train_loader(512)))
    next(iter(data.loader("test")))
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_position_of_other_batches_is_ignored(data, caplog):
    old, new = data.train_loader(512), data.train_loader(1024)
    next(iter(old))
    with caplog.at_level(logging.WARNING):
        new.load_state_dict(old.state_dict())
    assert "epoch 0 starts over" in caplog.text
    assert new.state_dict()["position"] == 0


@pytest.mark.parametrize("num_workers", [0, 1])
def test_evaluation_reads_every_example_once_and_indices_give_the_order_back(data, num_workers):
    decoded = {}
    loader = data.loader("test", tokens=300, num_workers=num_workers)
    for _ in range(2):
        decoded = {
            int(index): data.subwords.source.decode(ids.tolist())
            for batch in loader
            for index, ids in zip(batch.indices, batch.source, strict=True)
        }
    assert [decoded[k] for k in range(50)] == data.split("test")["source"][:]


def test_evaluation_of_the_first_sentences_only(data):
    indices = torch.cat([batch.indices for batch in data.loader("test", sentences=7)])
    assert sorted(indices.tolist()) == list(range(7))


def test_lightning_resumes_in_the_middle_of_an_epoch(data, tmp_path):
    import lightning

    class Recorder(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(()))
            self.seen = []

        def training_step(self, batch, _):
            self.seen.append(batch.indices.tolist())
            return self.weight * batch.tokens

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=1e-6)

    def fit(steps, resume=None):
        module = Recorder()
        trainer = lightning.Trainer(
            max_steps=steps,
            accelerator="cpu",
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=tmp_path,
            callbacks=[
                lightning.pytorch.callbacks.ModelCheckpoint(
                    tmp_path / str(steps), every_n_train_steps=1, save_top_k=-1, filename="{step}"
                )
            ],
        )
        trainer.fit(module, data.train_loader(1024, seed=5), ckpt_path=resume)
        return module.seen

    length = len(data.train_loader(1024))
    total = 2 * length + 3
    whole = fit(total)
    assert len(whole) == total
    for stop in (4, length, length + 2):
        resumed = fit(total, tmp_path / str(total) / f"step={stop}.ckpt")
        assert resumed == whole[stop:], stop


def test_sampled_epochs_keep_number_of_batches_and_budget(texts, subwords):
    data = ParallelData(texts, subwords, sampling={"alpha": 0.2, "nbest": -1})
    loader = data.train_loader(512, seed=1)
    for _ in range(3):
        batches = list(loader)
        assert len(batches) == len(loader)
        assert max(batch.slots for batch in batches) <= 512
        seen = itertools.chain.from_iterable(batch.indices.tolist() for batch in batches)
        assert sorted(seen) == list(range(600))


@pytest.mark.parametrize("size", [2, 3, 7])
@pytest.mark.parametrize("sampling", [None, {"alpha": 0.2, "nbest": -1}])
def test_ranks_see_each_sentence_once_in_every_epoch_in_as_many_batches(
    texts, subwords, size, sampling
):
    odd = DatasetDict({"train": texts["train"].select(range(101))})
    data = ParallelData(odd, subwords, sampling=sampling)
    loaders = [data.train_loader(200, seed=1, rank=rank, world_size=size) for rank in range(size)]
    for _ in range(3):
        epoch = [[batch.indices.tolist() for batch in loader] for loader in loaders]
        assert len({len(batches) for batches in epoch}) == 1, "or they would wait for each other"
        seen = [index for batches in epoch for rows in batches for index in rows]
        assert sorted(seen) == list(range(101))


@pytest.mark.parametrize("size", [2, 3, 40])
def test_a_group_shares_the_batches_of_an_evaluation(data, size):
    whole = [batch.indices.tolist() for batch in data.loader("train", 512)]
    parts = [
        [batch.indices.tolist() for batch in data.loader("train", 512, group=Group(rank, size))]
        for rank in range(size)
    ]
    assert sorted(rows for part in parts for rows in part) == sorted(whole), "each batch as it is"
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
