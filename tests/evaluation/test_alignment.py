import json

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from seq2seq.evaluation.alignment import (
    AlignmentScore,
    format_pharaoh,
    hard_alignment,
    links,
    parse_pharaoh,
    parse_segments,
    word_attention,
)

link_sets = st.sets(st.tuples(st.integers(0, 5), st.integers(0, 4)), max_size=12)


def matrix(pairs, targets=5, sources=6) -> torch.Tensor:
    """[1, 1, targets, sources] attention that links exactly the pairs."""
    weights = torch.zeros(1, 1, targets, sources)
    for source, target in pairs:
        weights[0, 0, target, source] = 1.0
    return weights / weights.sum(-1, keepdim=True).clamp(min=1)


@given(link_sets)
def test_pharaoh_text_and_links_are_inverse(pairs):
    assert parse_pharaoh(format_pharaoh(pairs)).sure == pairs


def test_pharaoh_pairs_are_written_in_order():
    assert format_pharaoh({(10, 0), (2, 3), (2, 1)}) == "2-1 2-3 10-0"


def test_possible_links_are_not_sure():
    gold = parse_pharaoh("0-0 1p2")
    assert gold.sure == {(0, 0)}
    assert gold.possible == {(0, 0), (1, 2)}


@pytest.mark.parametrize("bad", ["0-", "1", "a-b", "-1-2", "0:1", "1-2-3", "²-1"])
def test_a_bad_link_is_named(bad):
    with pytest.raises(ValueError, match=rf"'{bad}' in '0-0 {bad}' is no link"):
        parse_pharaoh(f"0-0 {bad}")


def test_segments_pair_up_in_order():
    assert parse_segments("0-2 3-4", "1-2 0-1") == [((0, 2), (1, 2)), ((3, 4), (0, 1))]
    with pytest.raises(ValueError, match="1 source spans '0-1' but 2 target spans"):
        parse_segments("0-1", "0-1 1-2")
    with pytest.raises(ValueError, match="target_segments: '2-2' in '2-2' is no span"):
        parse_segments("0-1", "2-2")


def test_source_pieces_are_summed_and_target_pieces_averaged_without_eos():
    attention = torch.tensor(
        [
            [0.1, 0.2, 0.3, 0.4],
            [0.5, 0.1, 0.3, 0.1],
            [0.0, 0.0, 0.6, 0.4],
            [0.0, 0.0, 0.0, 1.0],
        ],
        dtype=torch.float64,
    )
    words = word_attention(attention, [0, 0, 1, -1], [0, 0, 1, -1])
    expected = torch.tensor([[0.45, 0.3], [0.0, 0.6]], dtype=torch.float64)
    torch.testing.assert_close(words, expected, rtol=0, atol=1e-15)


def test_words_without_a_subword_get_no_attention():
    words = word_attention(torch.ones(1, 2) / 2, [0, 2], [1], source_count=4, target_count=2)
    assert words.tolist() == [[0, 0, 0, 0], [0.5, 0, 0.5, 0]]


def test_word_numbers_must_fit_the_attention_and_the_text():
    with pytest.raises(ValueError, match="1 rows and 2 columns, but target_words names 1 subwords"):
        word_attention(torch.ones(1, 2), [0], [0])
    with pytest.raises(ValueError, match=r"source_words names word 1 .* the source has 1 words"):
        word_attention(torch.ones(1, 2), [0, 1], [0], source_count=1)


def test_equal_weights_stay_equal_between_words():
    run = torch.full((3, 5), 0.2)  # one fused run over five words, read by three target pieces
    assert hard_alignment(word_attention(run, range(5), [0, 0, 0])).all()


def test_argmax_links_all_words_of_a_tie_and_no_word_without_weight():
    attention = torch.tensor([[0.6, 0.4, 0.0], [0.4, 0.2, 0.4], [0.0, 0.0, 0.0]])
    assert links(hard_alignment(attention)) == {(0, 0), (0, 1), (2, 1)}


def test_a_smaller_threshold_links_more():
    attention = torch.tensor([[0.6, 0.3, 0.1]])
    assert links(hard_alignment(attention, 0.5)) == {(0, 0), (1, 0)}
    with pytest.raises(ValueError, match=r"threshold: 0 is outside \(0, 1\]"):
        hard_alignment(attention, 0)


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
