import logging
import multiprocessing

import pytest
from datasets import Dataset, DatasetDict

from seq2seq.data import DataError, ParallelData, Subwords, prepare, subword_training
from seq2seq.data.corpora.multi30k import Multi30k


class InMemory:
    source_language, target_language, next_step = "x", "y", ""

    def __init__(self, texts):
        self.texts = texts

    def load(self):
        return DatasetDict(
            {name: Dataset.from_dict(split[:]) for name, split in self.texts.items()}
        )


def epoch(loader):
    return [vars(batch)[name].tolist() for batch in loader for name in ("source", "target")]


def test_second_start_trains_and_encodes_nothing(texts, monkeypatch):
    first = prepare(InMemory(texts), subwords={"size": 300})
    expected = epoch(first.train_loader()), epoch(first.loader("test"))

    def forbidden(*_):
        raise AssertionError("done again")

    monkeypatch.setattr(subword_training, "train_model", forbidden)
    monkeypatch.setattr(Subwords, "encode_batch", forbidden)
    second = prepare(InMemory(texts), subwords={"size": 300})
    assert (epoch(second.train_loader()), epoch(second.loader("test"))) == expected


def test_other_texts_or_another_model_are_encoded_anew(texts, subwords):
    lengths = ParallelData(texts, subwords).encoded("test").source.lengths.tolist()
    changed = DatasetDict({**texts, "test": texts["validation"]})
    assert ParallelData(changed, subwords).encoded("test").source.lengths.tolist() != lengths
    other = prepare(InMemory(texts), subwords={"size": 290, "kind": "bpe"})
    assert other.encoded("test").source.lengths.tolist() != lengths


def test_a_damaged_cache_is_rebuilt(texts, subwords, own_cache):
    expected = epoch(ParallelData(texts, subwords).loader("test"))
    files = list((own_cache / "ids").iterdir())
    assert len(files) == 2
    for file in files:
        file.write_bytes(b"")
    assert epoch(ParallelData(texts, subwords).loader("test")) == expected


def _run(texts, queue):
    texts = {name: Dataset.from_dict(split) for name, split in texts.items()}
    data = prepare(InMemory(texts), subwords={"size": 300})
    queue.put(epoch(data.train_loader(seed=1)))


def test_two_runs_at_once_share_the_cache_unharmed(texts):
    context = multiprocessing.get_context("spawn")  # a fork would copy locks of running threads
    queue = context.Queue()
    plain = {name: split[:] for name, split in texts.items()}
    runs = [context.Process(target=_run, args=(plain, queue)) for _ in range(2)]
    for run in runs:
        run.start()
    results = [queue.get(timeout=60) for _ in runs]
    for run in runs:
        run.join()
    assert results[0] == results[1]
    assert results[0] == epoch(
        prepare(InMemory(texts), subwords={"size": 300}).train_loader(seed=1)
    )


def test_long_sentences_are_dropped_only_in_training(texts, subwords, caplog):
    data = ParallelData(texts, subwords, max_source_length=12, max_target_length=14)
    with caplog.at_level(logging.INFO):
        loader = data.train_loader(512)
    batches = list(loader)
    count = sum(map(len, batches))
    assert 0 < count < 600
    assert max(int(batch.source_lengths.max()) for batch in batches) <= 12 + 1
    assert max(int(batch.target_lengths.max()) for batch in batches) <= 14 + 2
    assert f"{600 - count} of 600 training pairs dropped" in caplog.text
    assert sum(map(len, data.loader("test"))) == 50


def test_one_sentence_longer_than_the_budget_is_a_batch_alone(subwords):
    split = Dataset.from_dict(
        {"source": ["dog " * 100, "dog", "cat"], "target": ["Hund", "a", "b"]}
    )
    data = ParallelData(DatasetDict(train=split), subwords)
    assert sorted(batch.indices.tolist() for batch in data.train_loader(50)) in (
        [[0], [1, 2]],
        [[0], [2, 1]],
    )


def test_limits_that_leave_nothing_are_refused(texts, subwords):
    data = ParallelData(texts, subwords, max_source_length=0)
    with pytest.raises(DataError, match=r"all 600 .* data\.limits\.max_source_length=0"):
        data.train_loader()


def test_unknown_split_names_those_there_are(texts, subwords):
    with pytest.raises(DataError, match="only: train, validation, test"):
        ParallelData(texts, subwords).loader("dev")


def test_sampled_segmentations_differ_by_epoch_and_repeat_by_seed(texts, subwords):
    sampling = {"alpha": 0.2, "nbest": -1}
    data = ParallelData(texts, subwords, sampling=sampling)
    loader = data.train_loader(512, seed=4)
    first, second = ({i: s for b in loader for i, s in rows(b)} for _ in range(2))
    assert sum(first[i] != second[i] for i in first) > 300
    state = loader.state_dict()
    resumed = ParallelData(texts, subwords, sampling=sampling).train_loader(512, seed=0)
    resumed.load_state_dict(state)
    assert epoch(resumed) == epoch(loader)
    plain = {i: s for b in ParallelData(texts, subwords).train_loader(512) for i, s in rows(b)}
    decode = subwords.source.decode
    assert all(decode(first[i]) == decode(plain[i]) for i in plain)


def rows(batch):
    return zip(batch.indices.tolist(), batch.source.tolist(), strict=True)


def test_drawn_segmentations_keep_the_length_limit(texts, subwords):
    data = ParallelData(texts, subwords, max_source_length=20, sampling={"alpha": 0.1})
    assert max(int(batch.source_lengths.max()) for batch in data.train_loader(512)) <= 20 + 1


@pytest.mark.slow
def test_slots_of_multi30k_are_filled(external_corpora):
    data = prepare(Multi30k(external_corpora / "multi30k"))
    batches = list(data.train_loader(4096))
    assert sum(b.tokens for b in batches) / sum(b.slots for b in batches) > 0.97
    assert max(b.slots for b in batches) <= 4096
