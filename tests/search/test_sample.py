"""Samples follow the distribution of the options, and depend only on their sentence."""

import math
from collections import Counter

import pytest
import torch
from enumeration import all_translations, log_probabilities_of
from torch import Tensor

from seq2seq.models import EncoderDecoder
from seq2seq.search import Greedy, Sample
from seq2seq.search.sample import fork, keys, uniform

LIMITS = {"max_length_ratio": 0.0, "max_length_offset": 1}
DRAWS = 4000


def frequencies(model: EncoderDecoder, source: Tensor, length: int, **options: object) -> Counter:
    search = Sample(n_best=DRAWS, **LIMITS, **options)
    (found,) = search(model, source[None, :length], torch.tensor([length]))
    return Counter(tuple(h.tokens) for h in found)


def test_samples_are_as_frequent_as_probable(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor
) -> None:
    for row in (0, 3):
        length = int(source_lengths[row])
        truth = all_translations(model, source[row], length, 1)
        counts = frequencies(model, source[row], length)
        first = [log_probabilities_of(model, source[row], length, t)[0] for t in truth]
        for tokens, log_probability in zip(truth, first, strict=True):
            p = math.exp(log_probability)  # of the first token: then the limit cuts
            deviation = math.sqrt(p * (1 - p) / DRAWS)
            assert counts[tokens] / DRAWS == pytest.approx(p, abs=4 * deviation + 1e-9)


DISTRIBUTION = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)
CUT = [
    ({}, [0.4, 0.3, 0.2, 0.1]),
    ({"top_k": 2}, [4 / 7, 3 / 7, 0, 0]),
    ({"top_k": 9}, [0.4, 0.3, 0.2, 0.1]),
    ({"top_p": 0.65}, [4 / 7, 3 / 7, 0, 0]),
    ({"top_p": 0.75}, [4 / 9, 3 / 9, 2 / 9, 0]),
    ({"top_p": 0.1}, [1, 0, 0, 0]),
    ({"temperature": 0.5}, [16 / 30, 9 / 30, 4 / 30, 1 / 30]),
    ({"top_k": 3, "top_p": 0.7}, [4 / 7, 3 / 7, 0, 0]),
]


@pytest.mark.parametrize(("options", "expected"), CUT)
def test_the_distribution_is_cut_as_the_options_say(options: dict, expected: list[float]) -> None:
    order = torch.tensor([2, 0, 3, 1])
    expected = torch.tensor(expected, dtype=torch.float64)[order]
    found = Sample(**options).probabilities(DISTRIBUTION[order].log())
    torch.testing.assert_close(found / found.sum(), expected)


@pytest.mark.parametrize(("options", "expected"), CUT[:5])
def test_tokens_are_drawn_from_it(options: dict, expected: list[float]) -> None:
    search = Sample(n_best=20_000, **options)
    step = DISTRIBUTION.log().expand(search.width, -1)
    token = search.choose(step, 5, fork(torch.tensor([17]), search.width))
    counts = torch.bincount(token.flatten(), minlength=4) / search.width
    torch.testing.assert_close(
        counts.double(), torch.tensor(expected).double(), atol=0.015, rtol=0.0
    )


def test_a_sentence_has_the_same_samples_in_any_batch(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor
) -> None:
    search = Sample(n_best=3, max_length=8)
    together = search(model, source, source_lengths)
    order = torch.tensor([2, 0, 3, 1])
    shuffled = search(model, source[order], source_lengths[order])
    for place, row in enumerate(order.tolist()):
        one = slice(row, row + 1)
        alone = search(model, source[one, : source_lengths[row]], source_lengths[one])
        for other in (shuffled[place], alone[0]):
            assert [h.tokens for h in other] == [h.tokens for h in together[row]]
            assert [h.score for h in other] == pytest.approx([h.score for h in together[row]])


def test_another_seed_other_samples(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor
) -> None:
    found = [
        [[h.tokens for h in row] for row in Sample(8, seed=seed)(model, source, source_lengths)]
        for seed in (1, 1, 2)
    ]
    assert found[0] == found[1] != found[2]


def test_one_token_left_is_greedy(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor
) -> None:
    greedy = Greedy()(model, source, source_lengths, return_attention=True)
    for options in ({"top_k": 1}, {"top_p": 1e-9}, {"temperature": 1e-4}):
        found = Sample(**options)(model, source, source_lengths, return_attention=True)
        for (left,), (right,) in zip(found, greedy, strict=True):
            assert left.tokens == right.tokens
            assert left.log_probability == pytest.approx(right.log_probability)
            torch.testing.assert_close(left.attention, right.attention)


def test_noise_is_uniform_and_apart_for_each_purpose() -> None:
    source = torch.tensor([[4, 5, 3], [4, 5, 3], [5, 4, 3], [4, 3, 0]])
    lengths = torch.tensor([3, 3, 3, 2])
    first, same, other, shorter = keys(1, source, lengths).tolist()
    assert first == same
    assert len({first, other, shorter, *keys(2, source, lengths).tolist()}) == 6
    padded = torch.nn.functional.pad(source, (0, 2), value=9)
    assert keys(1, padded, lengths).tolist() == [first, same, other, shorter]
    many = fork(keys(1, source[:1], lengths[:1]), 10_000)
    assert fork(torch.tensor([first, other]), 2).tolist() == [
        *fork(torch.tensor([first]), 2).tolist(),
        *fork(torch.tensor([other]), 2).tolist(),
    ]
    numbers = uniform(many, 0)
    assert ((numbers > 0) & (numbers < 1)).all()
    counts = torch.histc(numbers.float(), bins=20, min=0, max=1)
    assert ((counts - 500) ** 2 / 500).sum() < 45  # chi-square of 19 degrees: 1 in 1,000
    assert abs(torch.corrcoef(torch.stack([numbers, uniform(many, 1)]))[0, 1]) < 0.04


@pytest.mark.parametrize(
    "options", [{"n_best": 0}, {"temperature": 0.0}, {"top_k": -1}, {"top_p": 0.0}, {"top_p": 1.5}]
)
def test_impossible_options_are_refused(options: dict) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=f"{name}="):
        Sample(**options)
