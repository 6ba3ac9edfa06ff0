import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.data import DataError
from seq2seq.data.mixing import MixedRows, Mixing

NAMES = ["a", "b", "c"]


def parts(*sizes):
    bounds = np.cumsum([0, *sizes])
    return [np.arange(*pair, dtype=np.int32) for pair in itertools.pairwise(bounds)]


@pytest.mark.parametrize(
    ("mixing", "expected"),
    [
        (Mixing(NAMES), [900, 90, 10]),
        (Mixing(NAMES, {"c": 1, "a": 2, "b": 1}), [500, 250, 250]),
        # sqrt(900) : sqrt(90) : sqrt(10) = 30 : 9.487 : 3.162
        (Mixing(NAMES, temperature=2.0), [703, 223, 74]),
        (Mixing(NAMES, temperature=1e6), [333, 334, 333]),
    ],
)
def test_pairs_of_each_corpus_in_an_epoch(mixing, expected):
    assert mixing.counts([900, 90, 10]) == expected
    rows = MixedRows(mixing, parts(900, 90, 10)).rows(seed=0, epoch=3)
    assert np.bincount(np.searchsorted([900, 990], rows, side="right")).tolist() == expected


def test_temperature_one_takes_every_pair_once():
    rows = MixedRows(Mixing(NAMES), parts(50, 7, 3)).rows(seed=1, epoch=2)
    assert sorted(rows.tolist()) == list(range(60))


@given(
    sizes=st.lists(st.integers(1, 30), min_size=2, max_size=4),
    weights=st.lists(st.floats(0.05, 20), min_size=4, max_size=4),
    seed=st.integers(0, 3),
)
def test_every_pair_is_seen_before_one_is_seen_again(sizes, weights, seed):
    names = [str(k) for k in range(len(sizes))]
    mixing = Mixing(names, dict(zip(names, weights, strict=False)))
    mixed = MixedRows(mixing, parts(*sizes))
    counts: Counter[int] = Counter()
    bounds = np.cumsum([0, *sizes])
    for epoch in range(12):
        counts.update(mixed.rows(seed, epoch).tolist())
        for first, stop in itertools.pairwise(bounds):
            seen = [counts[row] for row in range(first, stop)]
            assert max(seen) - min(seen) <= 1


def test_an_epoch_depends_on_seed_and_number_alone():
    mixed = MixedRows(Mixing(NAMES, temperature=3.0), parts(40, 20, 5))
    again = MixedRows(Mixing(NAMES, temperature=3.0), parts(40, 20, 5))
    assert np.array_equal(mixed.rows(1, 5), again.rows(1, 5))
    assert not np.array_equal(mixed.rows(1, 5), mixed.rows(1, 6))
    assert not np.array_equal(mixed.rows(1, 5), mixed.rows(2, 5))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weights": {"a": 1, "b": 1}}, r"names a, b, but the corpora of the mixture are: a, b, c"),
        ({"weights": {"a": 1, "b": 0, "c": 1}}, r"data\.weights\.b=0 is not above 0"),
        ({"temperature": 0.5}, r"data\.temperature=0\.5 is below 1"),
        ({"weights": dict.fromkeys(NAMES, 1), "temperature": 2}, "exclude each other"),
    ],
)
def test_shares_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(DataError, match=message):
        Mixing(NAMES, **settings)
