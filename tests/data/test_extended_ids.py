import pytest
from datasets import Dataset, DatasetDict

from seq2seq.data import UNK_ID, DataError, ParallelData, VocabularyPair, Words

WORDS = Words.of(["the", "dog", "sees", "der", "Hund", "sieht"])
PAIRS = [
    ("the Rex sees the dog", "der Rex sieht Hund"),
    ("the dog sees", "der Hund sieht"),
    ("Tom sees Ann sees Tom", "Ann sieht Zed und Tom"),
    ("the dog sees the", "der Fido sieht"),
]


@pytest.fixture
def data():
    source, target = map(list, zip(*PAIRS, strict=True))
    split = Dataset.from_dict({"source": source, "target": target})
    return ParallelData(DatasetDict(train=split, test=split), VocabularyPair(WORDS, WORDS))


@pytest.fixture(params=["train", "test", "workers"])
def batches(request, data):
    loaders = {
        "train": lambda: data.train_loader(40, copying=True),
        "test": lambda: data.loader("test", 40, copying=True),
        "workers": lambda: data.loader("test", 40, copying=True, num_workers=1),
    }
    return list(loaders[request.param]())


def test_batches_distinguish_unknown_words_and_restore_them(batches):
    assert sum(map(len, batches)) == len(PAIRS)
    seen = {}
    for batch in batches:
        for row, index in enumerate(batch.indices.tolist()):
            source, target = PAIRS[index]
            lengths = int(batch.source_lengths[row]), int(batch.target_lengths[row])
            ids = batch.source[row, : lengths[0]].tolist(), batch.target[row, : lengths[1]].tolist()
            assert WORDS.decode(ids[0], source) == source
            copied = [
                w if w in source or w in WORDS.pieces(range(10)) else "<unk>"
                for w in target.split()
            ]
            assert WORDS.decode(ids[1], source) == " ".join(copied)
            assert not batch.source[row, lengths[0] :].any()
            seen[index] = ids
    assert seen[2] == ([10, 6, 11, 6, 10, 3], [2, 11, 9, UNK_ID, UNK_ID, 10, 3])
    assert seen[3][1] == [2, 7, UNK_ID, 9, 3]


def test_without_copying_they_are_all_one_unknown_word(data):
    for loader in (data.train_loader(40), data.loader("test", 40)):
        for batch in loader:
            assert batch.source.max() < WORDS.size
            assert batch.target.max() < WORDS.size


def test_two_vocabularies_are_refused_with_the_keys(data):
    two = ParallelData(data.texts, VocabularyPair(WORDS, Words.of(["der"])))
    for ask in (two.train_loader, lambda **copying: two.loader("test", **copying)):
        with pytest.raises(DataError, match=r"model\.copying=true .* data\.subwords\.joint=true"):
            ask(copying=True)


def test_subwords_are_copied_by_their_own_ids(texts, subwords):
    data = ParallelData(texts, subwords)
    plain, copying = data.loader("test"), data.loader("test", copying=True)
    for ours, theirs in zip(copying, plain, strict=True):
        assert ours.source.equal(theirs.source)
        assert ours.target.equal(theirs.target)
