import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from seq2seq.evaluation.alignment import (
    attention_links,
    check_inside,
    format_pharaoh,
    hard_alignment,
    links,
    parse_pharaoh,
    parse_segments,
    word_attention,
)

link_sets = st.sets(st.tuples(st.integers(0, 5), st.integers(0, 4)), max_size=12)


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
    with pytest.raises(ValueError, match=rf"'{bad}' in '0-0 {bad}' is not a link"):
        parse_pharaoh(f"0-0 {bad}")


def test_segments_pair_up_in_order():
    assert parse_segments("0-2 3-4", "1-2 0-1") == [((0, 2), (1, 2)), ((3, 4), (0, 1))]
    with pytest.raises(ValueError, match="1 source spans '0-1' but 2 target spans"):
        parse_segments("0-1", "0-1 1-2")
    with pytest.raises(ValueError, match="target_segments: '2-2' in '2-2' is not a span"):
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


def test_links_of_a_sentence_are_those_of_its_mean_attention_between_words():
    # le | ch at | eos reads the | cat | eos; the heads agree on the average only.
    one = torch.tensor([[0.9, 0.1, 0.0, 0.0], [0.5, 0.0, 0.2, 0.3], [0.0, 0.0, 0.0, 1.0]])
    two = torch.tensor([[0.1, 0.1, 0.2, 0.6], [0.1, 0.3, 0.3, 0.3], [0.0, 0.0, 0.0, 1.0]])
    heads = torch.stack((one, two))[None]
    found = attention_links(heads, [0, 1, 1, -1], [0, 1, -1], "le chat", "the cat")
    assert found == {(0, 0), (1, 1)}  # rows (.5, .2) and (.3, .4)


def test_a_target_word_that_attends_only_to_eos_has_no_link():
    attention = torch.tensor([[[[0.0, 0.0, 1.0], [0.5, 0.5, 0.0]]]])
    assert attention_links(attention, [0, 1, -1], [0, 1], "a b", "c d") == {(0, 1), (1, 1)}


def test_a_link_outside_its_sentence_is_named():
    check_inside(parse_pharaoh("1-0 0p1"), "a b", "c d")
    with pytest.raises(ValueError, match=r"gold link 0-2 lies outside .* 2 source and 2 target"):
        check_inside(parse_pharaoh("0-2"), "a b", "c d")
