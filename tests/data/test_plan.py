import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.data import DataError
from seq2seq.data.plan import epoch_plan, sorted_plan

lengths = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=4, max_size=150)


def plans(pairs, tokens, *, world_size=1, epoch=0, seed=0, batches=None, max_sentences=None):
    source, target = np.array(pairs).T
    return [
        epoch_plan(
            source,
            target,
            tokens,
            max_sentences=max_sentences,
            seed=seed,
            epoch=epoch,
            rank=rank,
            world_size=world_size,
            rows=np.arange(len(source)),
            batches=batches,
        )
        for rank in range(world_size)
    ]


def rows(plan):
    return [plan.rows(k) for k in range(len(plan))]


@given(pairs=lengths, tokens=st.integers(40, 600), world_size=st.integers(1, 4))
def test_every_sentence_is_in_one_batch_of_one_rank(pairs, tokens, world_size):
    shares = plans(pairs, tokens, world_size=world_size)
    seen = np.concatenate([plan.order for plan in shares])
    batches = [batch for plan in shares for batch in rows(plan)]
    assert len({len(plan) for plan in shares}) == 1
    assert len(set(seen.tolist())) == len(seen)
    # Batches are left out only where halving could not make their number fit.
    if any(len(batch) > 1 for batch in batches):
        assert len(seen) == len(pairs)
    assert len(pairs) - len(seen) < world_size


@given(pairs=lengths, tokens=st.integers(10, 600), world_size=st.integers(1, 3))
def test_only_a_single_long_sentence_exceeds_the_budget(pairs, tokens, world_size):
    source, target = np.array(pairs).T
    for plan in plans(pairs, tokens, world_size=world_size):
        for batch in rows(plan):
            slots = len(batch) * (source[batch].max() + target[batch].max())
            assert slots <= tokens or len(batch) == 1


@given(pairs=lengths, limit=st.integers(1, 9))
def test_most_sentences_of_a_batch(pairs, limit):
    (plan,) = plans(pairs, 10_000, max_sentences=limit)
    assert max(map(len, rows(plan))) == min(limit, len(pairs))


@given(pairs=lengths, tokens=st.integers(40, 600), seed=st.integers(0, 5))
def test_number_of_batches_is_the_same_in_every_epoch(pairs, tokens, seed):
    counts = {len(plans(pairs, tokens, epoch=epoch, seed=seed)[0]) for epoch in range(4)}
    assert len(counts) == 1


def test_order_depends_on_seed_and_epoch_only():
    pairs = np.random.default_rng(0).integers(1, 30, (500, 2))
    a, b = plans(pairs, 400)[0], plans(pairs, 400)[0]
    assert np.array_equal(a.order, b.order)
    for other in (plans(pairs, 400, epoch=1)[0], plans(pairs, 400, seed=1)[0]):
        assert not np.array_equal(a.order, other.order)
        assert {frozenset(x.tolist()) for x in rows(a)} != {
            frozenset(x.tolist()) for x in rows(other)
        }


def test_halving_reaches_the_asked_number_of_batches_exactly():
    pairs = np.random.default_rng(0).integers(1, 30, (500, 2))
    natural = len(plans(pairs, 400)[0])
    (plan,) = plans(pairs, 400, batches=natural + 7)
    assert len(plan) == natural + 7
    assert sorted(plan.order.tolist()) == list(range(500))


def test_too_few_sentences_for_the_ranks_is_refused():
    with pytest.raises(DataError, match="2 training sentences are too few for 3 processes"):
        plans([(1, 1), (2, 2)], 100, world_size=3)


def test_evaluation_plan_goes_from_long_to_short():
    pairs = np.random.default_rng(0).integers(1, 30, (200, 2))
    plan = sorted_plan(*pairs.T, tokens=200)
    longest = [pairs[batch].max() for batch in rows(plan)]
    assert longest == sorted(longest, reverse=True)


@pytest.mark.slow
def test_five_million_sentences_are_planned_within_seconds():
    draw = np.random.default_rng(0)
    source = draw.poisson(25, 5_000_000) + 1
    target = np.maximum(1, source + draw.integers(-5, 6, len(source)))
    start = time.process_time()
    plan = epoch_plan(
        source, target, 4096, max_sentences=None, seed=0, epoch=0, rank=0, world_size=8,
        rows=np.arange(len(source)),
    )  # fmt: skip
    assert time.process_time() - start < 15
    assert 8 * len(plan) < 5_000_000 * 60 / 4096


@pytest.mark.parametrize(("key", "value"), [("tokens", 0), ("tokens", -5), ("max_sentences", 0)])
def test_batches_of_no_sentence_are_refused(key, value):
    lengths = np.array([1, 2, 3])
    with pytest.raises(DataError, match=rf"data\.batch\.{key}={value} .*at least 1"):
        sorted_plan(lengths, lengths, **{"tokens": 10, key: value})
