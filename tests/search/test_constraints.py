"""Each search option filters the translations correctly, against full enumeration."""

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from enumeration import BUILDERS, all_translations, log_probabilities_of
from torch import Tensor

from seq2seq.mappings import Sparsemax
from seq2seq.models import EncoderDecoder
from seq2seq.search import Beam, Greedy, Sample, Search
from seq2seq.search.limits import Bounds

LIMIT = 3
EVERYTHING = 4**LIMIT * 2
Tokens = tuple[int, ...]


def repeats(size: int) -> Callable[[Tokens], bool]:
    def any_repeated(tokens: Tokens) -> bool:
        ngrams = [tokens[i : i + size] for i in range(len(tokens) - size + 1)]
        return len(set(ngrams)) < len(ngrams)

    return any_repeated


def no_second_five(step: Tensor, tokens: Tensor, bounds: Bounds) -> None:
    """Rule out token 5 after the first position, as a constraint of one's own."""
    if tokens.size(2) > 1:
        step[:, :, 5] = -math.inf


OPTIONS: dict[str, tuple[dict, Callable[[Tokens, int], bool]]] = {
    "min_length": ({"min_length": 2}, lambda t, n: len(t) >= 2),
    "min_length_ratio": ({"min_length_ratio": 0.5}, lambda t, n: len(t) >= n // 2),
    "max_length": ({"max_length": 2}, lambda t, n: len(t) <= 2),
    "max_length_ratio": (
        {"max_length_ratio": 0.5, "max_length_offset": 0, "max_length": LIMIT},
        lambda t, n: len(t) <= n // 2,
    ),
    "no_repeat_ngram=1": ({"no_repeat_ngram": 1}, lambda t, n: not repeats(1)(t)),
    "no_repeat_ngram=2": ({"no_repeat_ngram": 2}, lambda t, n: not repeats(2)(t)),
    "own constraint": ({"constraints": [no_second_five]}, lambda t, n: 5 not in t[1:]),
    "forbidden pair": ({"forbid": [[4, 5], [6, 6]]}, lambda t, n: not bad_pair(t)),
}


def bad_pair(tokens: Tokens) -> bool:
    return any(pair in ((4, 5), (6, 6)) for pair in itertools.pairwise(tokens))


def ranked(truth: dict[Tokens, float], kept: Callable[[Tokens], bool]) -> list[Tokens]:
    possible = {t: p for t, p in truth.items() if p > -math.inf and kept(t)}
    return sorted(possible, key=lambda t: -possible[t])


@pytest.mark.parametrize("name", OPTIONS)
def test_the_best_translations_that_an_option_allows_are_found(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor, name: str
) -> None:
    options, allows = OPTIONS[name]
    options = {"max_length_ratio": 0.0, "max_length_offset": LIMIT} | options
    search = Beam(EVERYTHING, alpha=0.0, n_best=4, **options)
    excluded = 0
    for row, found in enumerate(search(model, source, source_lengths)):
        length = int(source_lengths[row])
        truth = all_translations(model, source[row], length, LIMIT)
        best = ranked(truth, lambda tokens, n=length: allows(tokens, n))
        excluded += len(ranked(truth, lambda tokens: True)) - len(best)
        if not best:
            assert [hypothesis.score for hypothesis in found] == [-math.inf]
            continue
        assert [tuple(hypothesis.tokens) for hypothesis in found] == best[:4]
        for hypothesis in found:  # what remains keeps its probability
            expected = truth[tuple(hypothesis.tokens)]
            assert hypothesis.log_probability == pytest.approx(expected)
    sparse = isinstance(model.output_mapping, Sparsemax)  # has few possible translations
    assert excluded or sparse, "the option has to exclude something here"


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("search", [Greedy, Sample, lambda **o: Beam(3, n_best=3, **o)])
def test_every_search_keeps_to_every_option(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor, name: str, search: type[Search]
) -> None:
    options, allows = OPTIONS[name]
    options = {"max_length_ratio": 0.0, "max_length_offset": LIMIT} | options
    found = search(**options)(model, source, source_lengths)
    for length, hypotheses in zip(source_lengths.tolist(), found, strict=True):
        for hypothesis in hypotheses:
            possible = hypothesis.score > -math.inf
            assert not possible or allows(tuple(hypothesis.tokens), length)


def test_a_prefix_is_given_and_scores_are_of_the_rest(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor
) -> None:
    prefixes = [[5], [], [4, 6], [1, 4, 5]]
    limits = {"max_length_ratio": 0.0, "max_length_offset": LIMIT}
    search = Beam(EVERYTHING, alpha=1.0, n_best=3, **limits)
    found = search(model, source, source_lengths, prefixes=prefixes)
    for row, prefix in enumerate(prefixes):
        rest = rest_given(model, source[row], int(source_lengths[row]), prefix)
        scores = {t: p / (len(t) - len(prefix) + 1) for t, p in rest.items() if p > -math.inf}
        best = sorted(scores, key=lambda t: -scores[t])[:3]
        assert [tuple(h.tokens) for h in found[row]] == best or not best
        for hypothesis in found[row]:
            assert hypothesis.tokens[: len(prefix)] == prefix
            if best:
                tokens = tuple(hypothesis.tokens)
                assert hypothesis.score == pytest.approx(scores[tokens])
                assert hypothesis.log_probability == pytest.approx(rest[tokens])
    for search in (Greedy(**limits), Sample(**limits), Beam(2, **limits)):
        shuffled = search(model, source.flip(0), source_lengths.flip(0), prefixes=prefixes[::-1])
        straight = search(model, source, source_lengths, prefixes=prefixes)
        for one, other in zip(shuffled[::-1], straight, strict=True):
            assert [h.tokens for h in one] == [h.tokens for h in other]
            assert [h.score for h in one] == pytest.approx([h.score for h in other])
        for prefix, (hypothesis, *_) in zip(prefixes, shuffled[::-1], strict=True):
            assert hypothesis.tokens[: len(prefix)] == prefix


def rest_given(
    model: EncoderDecoder, source: Tensor, length: int, prefix: list[int]
) -> dict[Tokens, float]:
    """Of the rest, log p(rest | prefix) of all translations that begin so."""
    found = {}
    for tokens in all_translations(model, source, length, LIMIT):
        if tokens[: len(prefix)] == tuple(prefix):
            steps = log_probabilities_of(model, source, length, tokens)
            found[tokens] = sum(steps[len(prefix) :])
    return found


def test_a_prefix_longer_than_the_limit_is_kept(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor
) -> None:
    for search in (Greedy(max_length=2), Beam(3, max_length=2), Sample(max_length=2)):
        found = search(model, source, source_lengths, prefixes=[[4, 5, 6]] * 4)
        assert all(hypotheses[0].tokens == [4, 5, 6] for hypotheses in found)


def test_texts_are_forbidden_as_their_ids(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor
) -> None:
    vocabulary = {"word": [4], "two words": [5, 6]}
    for kind in (Greedy, lambda **o: Beam(5, n_best=5, **o)):
        text = kind(forbid=["word", "two words"], max_length=8)
        with pytest.raises(ValueError, match=r"forbid=\['word', 'two words'\] is text"):
            text(model, source, source_lengths)
        by_text = text.with_vocabulary(vocabulary.__getitem__)(model, source, source_lengths)
        ids = kind(forbid=[4, [5, 6]], max_length=8)
        assert by_text == ids(model, source, source_lengths)
        assert by_text != kind(max_length=8)(model, source, source_lengths)
        assert text.forbid == ["word", "two words"], "the search itself is not changed"
    with pytest.raises(ValueError, match="has no ids for 'x'"):
        Greedy(forbid=["x"]).with_vocabulary(lambda text: [])
    with pytest.raises(ValueError, match="use min_length"):
        Greedy(forbid=["</s>"]).with_vocabulary(lambda text: [3])
    with pytest.raises(ValueError, match="contains the id 7"):
        Greedy(forbid=[7])(model, source, source_lengths)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_length": -1}, "min_length=-1"),
        ({"min_length": 5, "max_length": 4}, "max_length=4 is below min_length=5"),
        ({"no_repeat_ngram": -1}, "no_repeat_ngram=-1"),
        ({"forbid": [3]}, "use min_length"),
        ({"forbid": [[3]]}, "use min_length"),
        ({"forbid": [4, []]}, "contains an empty sequence"),
        ({"forbid": "word"}, "has to be a list"),
    ],
)
def test_impossible_options_are_refused(options: dict, message: str) -> None:
    for kind in (Greedy, Beam, Sample):
        with pytest.raises(ValueError, match=message):
            kind(**options)


def test_impossible_prefixes_are_refused(source: Tensor, source_lengths: Tensor) -> None:
    model = BUILDERS["transformer"]()
    for prefixes, message in (
        ([[4]], "1 prefixes for 4 sentences"),
        ([[4], [3], [], []], "the prefix of sentence 1 contains the id 3"),
        ([[4] * 40, [], [], []], "max_length=40"),
        ([[4], [7], [], []], "contains the id 7, but the model's vocabulary has only 7"),
    ):
        with pytest.raises(ValueError, match=message):
            Greedy()(model, source, source_lengths, prefixes=prefixes)


def test_two_of_a_kind_are_searched_alike_whatever_the_others_have_to_keep_to(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor
) -> None:
    search = Beam(3, n_best=3, min_length=1, no_repeat_ngram=2, forbid=[[4, 5]], max_length=6)
    together = search(model, source, source_lengths, prefixes=[[], [4], [], [6, 5]])
    alone = search(model, source[1:2], source_lengths[1:2], prefixes=[[4]])
    assert [h.tokens for h in together[1]] == [h.tokens for h in alone[0]]
    torch.testing.assert_close([h.score for h in together[1]], [h.score for h in alone[0]])
