import json
import math
import pickle

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from seq2seq.evaluation.attention_statistics import AttentionStatistics
from seq2seq.evaluation.distribution_statistics import TOKEN_STATISTICS
from seq2seq.mappings import Entmax, Fusedmax, Oscarmax, Sparsemax


def slow_row(row: list[float]) -> dict[str, float]:
    """Compute the statistics of a distribution over valid positions in plain Python."""
    n, support = len(row), [value for value in row if value != 0]
    runs, previous = 0, 0.0
    for value in row:
        runs += value != 0 and value != previous
        previous = value
    differences = sum(abs(one - other) for one in row for other in row)
    entropy = -sum(value * math.log(value) for value in support)
    return {
        "support_size": len(support),
        "support_fraction": len(support) / n,
        "entropy": entropy,
        "entropy_ratio": entropy / math.log(n) if n > 1 else 0.0,
        "top_mass": max(row),
        "gini": differences / (2 * n * sum(row)),
        "run_count": runs,
        "run_length": len(support) / runs,
        "group_count": len(set(support)),
        "group_size": len(support) / len(set(support)),
        "one_word_share": float(len(support) == 1 < n),
        "no_gradient_share": 0.0 if n == 1 else (n - len(support)) / n if len(support) > 1 else 1.0,
    }


def slow_summary(attention, source_mask, target_mask, layers, heads) -> dict[str, float]:
    """Averages over tokens, sentences, the layers and heads given."""
    rows, sentences, zeros, entries = [], [], 0, 0
    for sentence in range(attention.shape[0]):
        valid = source_mask[sentence].nonzero().flatten().tolist()
        tokens = target_mask[sentence].nonzero().flatten().tolist()
        if not valid or not tokens:
            continue
        for layer in layers:
            for head in heads:
                weights = attention[sentence, layer, head].double()[tokens][:, valid].tolist()
                rows += [slow_row(row) for row in weights]
                zeros += sum(value == 0 for row in weights for value in row)
                entries += len(weights) * len(valid)
                coverage = [sum(column) for column in zip(*weights, strict=True)]
                mean = sum(coverage) / len(valid)
                variance = sum((value - mean) ** 2 for value in coverage) / len(valid)
                uncovered = sum(value < 0.05 for value in coverage) / len(valid)
                sentences.append((mean, math.sqrt(variance), uncovered))
    averages = {name: sum(row[name] for row in rows) / len(rows) for name in TOKEN_STATISTICS}
    names = ("coverage_mean", "coverage_deviation", "uncovered_share")
    for name, values in zip(names, zip(*sentences, strict=True), strict=True):
        averages[name] = sum(values) / len(values)
    return averages | {"zero_share": zeros / entries}


@st.composite
def batches(draw):
    """Distributions over few values, so that ties and zeros are common; masks with holes."""
    batch, layers, heads = (draw(st.integers(1, high)) for high in (3, 2, 2))
    target_length, source_length = draw(st.integers(1, 4)), draw(st.integers(1, 7))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    source_mask = torch.rand(batch, source_length, generator=generator) < 0.75
    target_mask = torch.rand(batch, target_length, generator=generator) < 0.75
    source_mask[0, 0] = target_mask[0, 0] = True
    shape = (batch, layers, heads, target_length, source_length)
    weights = torch.randint(0, 4, shape, generator=generator).float()
    weights = weights * source_mask[:, None, None, None]
    empty = weights.sum(-1, keepdim=True) == 0
    weights = torch.where(empty, source_mask[:, None, None, None].float(), weights)
    attention = weights / weights.sum(-1, keepdim=True).clamp(min=1)
    return attention, source_mask, target_mask


def statistics(attention, source_mask=None, target_mask=None, **options) -> AttentionStatistics:
    """[batch, target_length, source_length] of one layer and head, or the full shape."""
    if attention.dim() == 3:
        attention = attention[:, None, None]
    batch, layers, heads, target_length, source_length = attention.shape
    if source_mask is None:
        source_mask = torch.ones(batch, source_length, dtype=torch.bool)
    if target_mask is None:
        target_mask = torch.ones(batch, target_length, dtype=torch.bool)
    result = AttentionStatistics(layers, heads, **options)
    result.update(attention, source_mask, target_mask)
    return result


def overall(rows, **options) -> dict[str, float]:
    return statistics(torch.tensor([rows], dtype=torch.float64), **options).summary()["overall"]


@settings(max_examples=60, deadline=None)
@given(batches())
def test_agrees_with_the_definitions_applied_row_by_row(batch):
    attention, source_mask, target_mask = batch
    summary = statistics(attention, source_mask, target_mask).summary()
    layers, heads = range(attention.shape[1]), range(attention.shape[2])
    expected = slow_summary(attention, source_mask, target_mask, layers, heads)
    # Gini takes the row's sum for 1, which float32 keeps to 1e-7.
    assert {name: summary["overall"][name] for name in expected} == pytest.approx(
        expected, rel=1e-6, abs=1e-6
    )
    for entry in summary["by_layer_head"]:
        place = slow_summary(attention, source_mask, target_mask, [entry["layer"]], [entry["head"]])
        assert {name: entry[name] for name in place} == pytest.approx(place, rel=1e-6, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(batches(), st.integers(0, 5))
def test_padding_and_what_stands_under_it_change_nothing(batch, padding):
    attention, source_mask, target_mask = batch
    padded = torch.nn.functional.pad(attention, (0, padding, 0, padding), value=0.3)
    summary = statistics(
        padded,
        torch.nn.functional.pad(source_mask, (0, padding)),
        torch.nn.functional.pad(target_mask, (0, padding)),
    ).summary()
    expected = statistics(attention, source_mask, target_mask).summary()
    assert summary["overall"] == pytest.approx(expected["overall"], abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(batches())
def test_batches_and_merged_processes_give_the_result_of_one_batch(batch):
    attention, source_mask, target_mask = batch
    whole = statistics(attention, source_mask, target_mask)
    merged = AttentionStatistics(*attention.shape[1:3])
    for row in range(len(attention)):
        part = AttentionStatistics(*attention.shape[1:3])
        part.update(
            attention[row : row + 1], source_mask[row : row + 1], target_mask[row : row + 1]
        )
        merged.merge(pickle.loads(pickle.dumps(part)))
    torch.testing.assert_close(merged.totals, whole.totals, rtol=1e-13, atol=1e-13)


def test_one_hot_row():
    found = overall([[0.0, 1.0, 0.0, 0.0]])
    assert found["support_size"] == 1
    assert found["support_fraction"] == 0.25
    assert found["entropy"] == found["entropy_ratio"] == 0
    assert found["top_mass"] == 1
    assert found["gini"] == 0.75
    assert found["zero_share"] == 0.75
    assert (found["run_count"], found["run_length"]) == (1, 1)


def test_uniform_row():
    found = overall([[0.25] * 4])
    assert found["entropy"] == pytest.approx(math.log(4), abs=1e-15)
    assert found["entropy_ratio"] == pytest.approx(1, abs=1e-15)
    assert found["gini"] == pytest.approx(0, abs=1e-15)
    assert (found["run_count"], found["run_length"]) == (1, 4)
    assert (found["group_count"], found["group_size"]) == (1, 4)


def test_scores_without_a_gradient():
    shares = ("one_word_share", "no_gradient_share")
    expected = {
        (0.0, 1.0, 0.0, 0.0): (1, 1),  # no score can change anything
        (0.25, 0.75, 0.0, 0.0): (0, 0.5),
        (0.25, 0.25, 0.25, 0.25): (0, 0),
        (1.0,): (0, 0),  # nothing to choose
    }
    for row, values in expected.items():
        assert tuple(overall([[*row]])[name] for name in shares) == values


def test_what_is_fused_into_one_run_or_group_has_no_gradient():
    run, group, both = [0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [0.4, 0.4, 0.2]
    expected = {"word": (1 / 3, 1 / 3, 0), "run": (1, 1 / 3, 0), "group": (1, 1, 0)}
    for pools, values in expected.items():
        found = [overall([row], pools=pools)["no_gradient_share"] for row in (run, group, both)]
        assert found == pytest.approx(values)


def test_shares_without_a_gradient_are_those_of_the_jacobian():
    scores = torch.randn(400, 7, generator=torch.Generator().manual_seed(1)).double()
    for mapping in (Sparsemax(0.5), Entmax(1.5), Fusedmax(lam=0.3), Oscarmax(lam=0.1)):
        weights = mapping(scores)
        jacobian = torch.func.vmap(torch.func.jacrev(mapping))(scores)
        still = (jacobian == 0).all(-1).double().mean()
        found = overall(weights.tolist(), pools=mapping.omega.pools)["no_gradient_share"]
        assert found == pytest.approx(float(still), abs=1e-12)


def test_one_valid_position_has_entropy_ratio_0():
    found = overall([[1.0]])
    assert found["entropy_ratio"] == found["gini"] == found["entropy"] == 0
    assert found["support_fraction"] == found["top_mass"] == 1


def test_runs_need_contiguity_and_groups_do_not():
    # Runs: (.1 .1) (.3) (.1 .1) (.3); groups: four times .1, twice .3.
    found = overall([[0.1, 0.1, 0.3, 0.1, 0.1, 0.0, 0.3]])
    assert (found["run_count"], found["run_length"]) == (4, 1.5)
    assert (found["group_count"], found["group_size"]) == (2, 3)


def test_a_zero_between_equal_weights_separates_runs():
    assert overall([[0.5, 0.0, 0.5]])["run_count"] == 2


def test_the_sides_of_a_masked_hole_are_neighbors():
    attention = torch.tensor([[[0.5, 0.0, 0.5]]])
    found = statistics(attention, torch.tensor([[True, False, True]])).summary()["overall"]
    assert (found["run_count"], found["run_length"]) == (1, 2)
    assert found["support_fraction"] == 1
    assert found["zero_share"] == 0


def test_equality_is_exact_unless_a_tolerance_is_given():
    row = [[0.25, 0.25 + 1e-9, 0.0, 0.5 - 1e-9]]
    assert overall(row)["run_count"] == 3
    assert overall(row)["group_count"] == 3
    assert overall(row, tolerance=1e-8)["run_count"] == 2
    assert overall(row, tolerance=1e-8)["group_count"] == 2


def test_tolerance_never_takes_a_small_weight_for_zero():
    found = overall([[1e-9, 0.0, 1 - 1e-9]], tolerance=1e-6)
    assert found["support_size"] == 2
    assert found["run_count"] == 2


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_neighboring_values_of_any_float_type_are_told_apart(dtype):
    half = torch.tensor(0.5, dtype=dtype)
    next_value = half * (1 + torch.finfo(dtype).eps)
    assert next_value != half
    found = statistics(torch.stack((half, half, next_value))[None, None]).summary()["overall"]
    assert (found["run_count"], found["group_count"]) == (2, 2)


def test_coverage_sums_the_columns():
    # Column sums 1.5, .5, 0; mean 2/3, deviation √(((5/6)² + (1/6)² + (2/3)²) / 3) = √(7/18).
    found = overall([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])
    assert found["coverage_mean"] == pytest.approx(2 / 3, abs=1e-15)
    assert found["coverage_deviation"] == pytest.approx(math.sqrt(7 / 18), abs=1e-15)
    assert found["uncovered_share"] == pytest.approx(1 / 3, abs=1e-15)


def test_the_limit_of_uncovered_positions_can_be_set():
    rows = [[0.9, 0.1]]
    assert overall(rows)["uncovered_share"] == 0
    assert overall(rows, uncovered_below=0.2)["uncovered_share"] == 0.5


def test_source_lengths_fall_into_their_buckets():
    lengths = [1, 2, 3, 4, 9]
    source_mask = torch.arange(9) < torch.tensor(lengths)[:, None]
    attention = (source_mask / source_mask.sum(-1, keepdim=True))[:, None, None, None]
    target_mask = torch.ones(5, 1, dtype=torch.bool)
    counter = AttentionStatistics(1, 1, length_boundaries=(2, 3, 5, 7))
    counter.update(attention, source_mask, target_mask)
    buckets = counter.summary()["by_source_length"]
    assert [(b["minimum"], b["maximum"], b["sentences"]) for b in buckets] == [
        (1, 2, 2),
        (3, 3, 1),
        (4, 5, 1),
        (8, None, 1),
    ]
    assert [bucket["support_size"] for bucket in buckets] == [1.5, 3, 4, 9]


def test_target_positions_fall_into_their_buckets():
    # Token t looks at the first t of five words; the second sentence has two tokens only.
    row = torch.tril(torch.ones(4, 5)) / torch.arange(1, 5)[:, None]
    attention = torch.stack((row, row))[:, None, None]
    target_mask = torch.tensor([[True] * 4, [True, True, False, False]])
    counter = AttentionStatistics(1, 1, position_boundaries=(1, 3))
    counter.update(attention, torch.ones(2, 5, dtype=torch.bool), target_mask)
    buckets = counter.summary()["by_target_position"]
    assert [(b["minimum"], b["maximum"], b["tokens"]) for b in buckets] == [
        (1, 1, 2),
        (2, 3, 3),
        (4, None, 1),
    ]
    assert [bucket["support_size"] for bucket in buckets] == [1, pytest.approx(7 / 3), 4]
    assert [bucket["zero_share"] for bucket in buckets] == pytest.approx([4 / 5, 8 / 15, 1 / 5])
    assert "coverage_mean" not in buckets[0]


@settings(max_examples=20, deadline=None)
@given(batches())
def test_positions_and_lengths_part_the_same_tokens(batch):
    counter = statistics(*batch, position_boundaries=(1, 2), length_boundaries=(3,))
    both = counter.totals[: len(counter.position_totals)].sum(1), counter.position_totals.sum(1)
    torch.testing.assert_close(*both, rtol=1e-12, atol=1e-12)


def test_memory_does_not_grow_with_what_was_seen():
    def size(counter):
        return len(pickle.dumps(counter)), [
            t.shape for t in (counter.totals, counter.position_totals)
        ]

    counter = AttentionStatistics(2, 2)
    before = size(counter)
    for length in (3, 17, 130):
        attention = torch.rand(8, 2, 2, length, length).softmax(-1)
        ones = torch.ones(8, length, dtype=torch.bool)
        counter.update(attention, ones, ones)
    assert size(counter) == before


def test_records_hold_every_layer_head_and_bucket():
    attention = torch.tensor([[[[[0.5, 0.5]]], [[[1.0, 0.0]]]]])  # two layers, one token
    records = list(statistics(attention).records())
    found = {
        (r["layer"], r["head"], r["by"], r["minimum"], r["maximum"]): r["value"]
        for r in records
        if r["statistic"] == "support_size"
    }
    expected = {}
    for place, value in ((("all", "all"), 1.5), ((0, 0), 2), ((1, 0), 1)):
        for bucket in (("all", None, None), ("source_length", 1, 10), ("target_position", 1, 1)):
            expected[(*place, *bucket)] = value
    assert found == expected
    coverage = {r["by"] for r in records if r["statistic"] == "coverage_mean"}
    assert coverage == {"all", "source_length"}, "coverage has no target position"
    assert {r["tokens"] for r in records} == {1}


def test_boundaries_must_increase():
    for name in ("length_boundaries", "position_boundaries"):
        with pytest.raises(ValueError, match=f"{name}: .* must increase"):
            AttentionStatistics(1, 1, **{name: (3, 3)})


def test_sums_stay_exact_over_millions_of_tokens():
    attention = torch.full((1000, 1, 1, 1000, 3), 1 / 3)
    attention[..., 2] = 0
    counter = AttentionStatistics(1, 1)
    for _ in range(3):
        counter.update(attention, torch.ones(1000, 3).bool(), torch.ones(1000, 1000).bool())
    found = counter.summary()["overall"]
    assert found["tokens"] == 3_000_000
    assert found["support_size"] == 2
    assert found["zero_share"] == 1 / 3
    assert found["entropy"] == pytest.approx(2 / 3 * math.log(3), rel=1e-7)


def test_summary_survives_json():
    summary = statistics(torch.rand(2, 3, 2, 4, 5).softmax(-1)).summary()
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    places = [(entry["layer"], entry["head"]) for entry in summary["by_layer_head"]]
    assert places == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]


def test_attention_of_the_wrong_shape_is_refused():
    counter = AttentionStatistics(2, 4)
    masks = torch.ones(1, 3).bool(), torch.ones(1, 3).bool()
    with pytest.raises(ValueError, match=r"\[1, 1, 4, 3, 3\]; expected .* 2 layers and 4 heads"):
        counter.update(torch.rand(1, 1, 4, 3, 3), *masks)
    with pytest.raises(ValueError, match=r"source_mask is torch.bool \[1, 3\]"):
        counter.update(torch.rand(1, 2, 4, 3, 5), *masks)


def test_without_observations_there_are_no_averages():
    with pytest.raises(ValueError, match="no attention seen"):
        AttentionStatistics(1, 1).summary()


def test_statistics_of_other_settings_do_not_merge():
    with pytest.raises(ValueError, match="cannot merge"):
        AttentionStatistics(1, 1).merge(AttentionStatistics(1, 1, tolerance=1e-6))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_statistics_of_a_cuda_batch_are_those_of_the_cpu():
    attention = torch.relu(torch.randn(8, 2, 3, 6, 11)) + 1e-3
    attention = attention / attention.sum(-1, keepdim=True)
    source_mask = torch.arange(11) < torch.arange(3, 11)[:, None]
    target_mask = torch.arange(6) < torch.arange(8)[:, None]
    here, there = AttentionStatistics(2, 3), AttentionStatistics(2, 3)
    here.update(attention, source_mask, target_mask)
    there.update(attention.cuda(), source_mask.cuda(), target_mask.cuda())
    assert there.totals.is_cuda
    assert there.position_totals.is_cuda
    for name in ("totals", "position_totals"):
        found, expected = getattr(there, name).cpu(), getattr(here, name)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
