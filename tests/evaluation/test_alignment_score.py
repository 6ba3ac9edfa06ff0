import json

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from seq2seq.evaluation.alignment import format_pharaoh, parse_pharaoh, parse_segments
from seq2seq.evaluation.alignment_score import AlignmentScore

link_sets = st.sets(st.tuples(st.integers(0, 5), st.integers(0, 4)), max_size=12)


def matrix(pairs, targets=5, sources=6) -> torch.Tensor:
    """[1, 1, targets, sources] attention that links exactly the pairs."""
    weights = torch.zeros(1, 1, targets, sources)
    for source, target in pairs:
        weights[0, 0, target, source] = 1.0
    return weights / weights.sum(-1, keepdim=True).clamp(min=1)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(link_sets, link_sets, link_sets), min_size=1, max_size=4))
def test_scores_are_those_of_och_and_ney_over_the_corpus(corpus):
    score = AlignmentScore()
    predicted = in_sure = in_possible = all_sure = 0
    for links_found, sure, more in corpus:
        possible = sure | more
        text = " ".join(f"{i}-{j}" for i, j in sure) + " " + " ".join(f"{i}p{j}" for i, j in more)
        score.update_words(matrix(links_found), parse_pharaoh(text))
        predicted += len(links_found)
        in_sure += len(links_found & sure)
        in_possible += len(links_found & possible)
        all_sure += len(sure)
    found = score.summary()["overall"]
    assert found["sentences"] == len(corpus)
    assert found["precision"] == (in_possible / predicted if predicted else None)
    assert found["recall"] == (in_sure / all_sure if all_sure else None)
    if predicted + all_sure:
        expected = 1 - (in_sure + in_possible) / (predicted + all_sure)
        assert found["aer"] == pytest.approx(expected, abs=1e-15)
    else:
        assert found["aer"] is None


def test_perfect_links_have_no_error():
    pairs = {(0, 1), (1, 0), (2, 2), (3, 2)}
    score = AlignmentScore()
    score.update_words(matrix(pairs), parse_pharaoh(format_pharaoh(pairs)))
    found = score.summary()["overall"]
    assert (found["precision"], found["recall"], found["aer"]) == (1, 1, 0)
    assert found["alignment_mass"] == 1


def test_alignment_mass_averages_over_target_words_with_a_gold_link():
    attention = torch.tensor([[[[0.7, 0.3], [0.2, 0.5], [0.9, 0.1]]]])
    score = AlignmentScore()
    score.update_words(attention, parse_pharaoh("0-0 1p1"))
    mass = score.summary()["overall"]["alignment_mass"]
    assert mass == pytest.approx((0.7 + 0.5) / 2, abs=1e-7)


def test_segment_mass_and_exact_segments_tell_a_whole_phrase_from_a_spike():
    phrase = torch.tensor([[[[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]]])
    spike = torch.tensor([[[[1.0, 0.0, 0.0], [0.8, 0.0, 0.2], [0.0, 0.0, 1.0]]]])
    segments = parse_segments("0-2 2-3", "0-2 2-3")
    found = []
    for attention in (phrase, spike):
        score = AlignmentScore()
        score.update_words(attention, parse_pharaoh("0-0 1-1 2-2"), segments)
        found.append(score.summary()["overall"])
    assert (found[0]["segment_mass"], found[0]["segment_exact"]) == (1, 1)
    assert found[1]["segment_mass"] == pytest.approx(2.8 / 3, abs=1e-7)
    assert found[1]["segment_exact"] == pytest.approx(1 / 3)


def test_an_example_is_scored_from_subwords_by_layer_head_and_their_mean():
    example = {
        "source": "le chat",
        "target": "the cat",
        "alignment": "0-0 1-1",
        "source_segments": None,
        "target_segments": None,
    }
    right = torch.tensor([[1.0, 0, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 0, 1.0]])
    wrong = torch.tensor([[0, 0.6, 0, 0.4], [1.0, 0, 0, 0], [0, 0, 0, 1.0]])
    score = AlignmentScore(layers=1, heads=2)
    score.update(torch.stack((right, wrong))[None], [0, 1, 1, -1], [0, 1, -1], example)
    summary = score.summary()
    assert [entry["aer"] for entry in summary["by_layer_head"]] == [0, 1]
    assert [entry["alignment_mass"] for entry in summary["by_layer_head"]] == [1, 0]
    overall = summary["overall"]  # rows (.5, .3) and (.5, .5): right, then a tie
    assert (overall["precision"], overall["recall"]) == (pytest.approx(2 / 3), 1)
    assert overall["alignment_mass"] == 0.5
    assert overall["segment_mass"] is None
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_one_layer_of_one_head_may_be_a_matrix():
    example = {"source": "a b", "target": "c", "alignment": "1-0"}
    score = AlignmentScore()
    score.update(torch.tensor([[0.2, 0.8]]), [0, 1], [0], example)
    assert score.summary()["overall"]["aer"] == 0


def test_merged_scores_are_those_of_the_whole_corpus():
    gold, segments = parse_pharaoh("0-0 1-1"), parse_segments("0-2", "0-2")
    sentences = [torch.rand(2, 2, 2, 3).softmax(-1) for _ in range(5)]
    whole, one, two = (AlignmentScore(2, 2, threshold=0.5) for _ in range(3))
    for number, attention in enumerate(sentences):
        whole.update_words(attention, gold, segments)
        (one if number % 2 else two).update_words(attention, gold, segments)
    one.merge(two)
    assert one.summary()["overall"] == pytest.approx(whole.summary()["overall"], abs=1e-14)
    with pytest.raises(ValueError, match="cannot merge"):
        one.merge(AlignmentScore(2, 2))


def test_gold_outside_the_sentence_is_refused():
    with pytest.raises(ValueError, match=r"gold link 7-0 lies outside .* 6 source and 5 target"):
        AlignmentScore().update_words(matrix([(0, 0)]), parse_pharaoh("7-0"))
    with pytest.raises(ValueError, match=r"segment 0-7 \| 0-1 lies outside"):
        AlignmentScore().update_words(
            matrix([(0, 0)]), parse_pharaoh("0-0"), parse_segments("0-7", "0-1")
        )


def test_records_are_the_scores_of_each_layer_and_head_and_of_their_mean():
    right, wrong = matrix({(0, 0), (1, 1)}, 2, 2), matrix({(1, 0), (0, 1)}, 2, 2)
    score = AlignmentScore(1, 2)
    score.update_words(torch.cat((right, wrong), 1), parse_pharaoh("0-0 1-1"))
    errors = [
        (record["layer"], record["head"], record["value"])
        for record in score.records()
        if record["statistic"] == "aer"
    ]
    assert errors == [("all", "all", pytest.approx(1 / 3)), (0, 0, 0), (0, 1, 1)]
