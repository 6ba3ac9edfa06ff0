"""Beam search against enumeration, greedy search, and itself in other batches."""

import math

import pytest
import torch
from enumeration import BUILDERS, all_translations
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from seq2seq.mappings import Sparsemax
from seq2seq.models import EncoderDecoder, State, Step
from seq2seq.search import Beam, Greedy, Hypothesis
from seq2seq.search.distribution import log_probabilities
from seq2seq.search.ranking import LengthPenalty

PENALTIES = [("average", 1.0), ("average", 0.0), ("average", 2.0), ("gnmt", 0.6), ("gnmt", -0.5)]


@pytest.mark.parametrize(("kind", "alpha"), PENALTIES)
def test_a_beam_of_every_translation_finds_the_best(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor, kind: str, alpha: float
) -> None:
    everything = 4**3 * 2
    search = Beam(everything, kind, alpha, 5, max_length_ratio=0.0, max_length_offset=3)
    penalty = LengthPenalty(kind, alpha)
    for row, found in enumerate(search(model, source, source_lengths)):
        truth = all_translations(model, source[row], int(source_lengths[row]), 3)
        scores = {
            tokens: float(penalty.score(torch.tensor(total), torch.tensor(len(tokens) + 1.0)))
            for tokens, total in truth.items()
            if total > -math.inf
        }
        best = sorted(scores, key=lambda tokens: -scores[tokens])[:5]
        if not best:  # a sparse output may rule out every end within the limit
            assert [hypothesis.log_probability for hypothesis in found] == [-math.inf]
            continue
        assert [tuple(hypothesis.tokens) for hypothesis in found] == best
        for hypothesis in found:
            tokens = tuple(hypothesis.tokens)
            assert hypothesis.score == pytest.approx(scores[tokens])
            assert hypothesis.log_probability == pytest.approx(truth[tokens])


def test_a_beam_of_one_is_greedy(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor
) -> None:
    for limit in (0, 2, 12):
        options = {"max_length_ratio": 0.0, "max_length_offset": limit}
        greedy = Greedy(**options)(model, source, source_lengths, return_attention=True)
        beam = Beam(1, alpha=0.0, **options)(model, source, source_lengths, return_attention=True)
        for (left,), (right,) in zip(greedy, beam, strict=True):
            assert left.tokens == right.tokens
            assert left.log_probability == pytest.approx(right.log_probability)
            torch.testing.assert_close(left.attention, right.attention)


@pytest.mark.parametrize(
    "search", [Greedy(), Beam(4, n_best=3), Beam(3, "gnmt", 0.6)], ids=["greedy", "average", "gnmt"]
)
def test_a_sentence_is_translated_alike_in_any_batch(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor, search: Beam
) -> None:
    together = search(model, source, source_lengths)
    order = torch.tensor([2, 0, 3, 1])
    shuffled = search(model, source[order], source_lengths[order])
    for place, row in enumerate(order.tolist()):
        one = slice(row, row + 1)
        alone = search(model, source[one, : source_lengths[row]], source_lengths[one])
        for other in (shuffled[place], alone[0]):
            assert [h.tokens for h in other] == [h.tokens for h in together[row]]
            assert [h.score for h in other] == pytest.approx([h.score for h in together[row]])


def test_n_best_are_distinct_and_best_first(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor
) -> None:
    for found in Beam(6, n_best=6)(model, source, source_lengths):
        scores = [hypothesis.score for hypothesis in found]
        assert scores == sorted(scores, reverse=True)
        assert len({tuple(hypothesis.tokens) for hypothesis in found}) == len(found)
        assert len(found) == 6 or isinstance(model.output_mapping, Sparsemax)


def test_attention_is_the_models_own_of_the_hypothesis(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor
) -> None:
    for search in (Greedy(), Beam(4, n_best=4)):
        found = search(model, source, source_lengths, return_attention=True)
        for row, hypotheses in enumerate(found):
            length = int(source_lengths[row])
            for hypothesis in hypotheses:
                inputs = torch.tensor([[2, *hypothesis.tokens]])
                expected = model(
                    source[row : row + 1, :length],
                    source_lengths[row : row + 1],
                    inputs,
                    return_attention=True,
                ).attention
                torch.testing.assert_close(hypothesis.attention, expected[0])


def test_padding_and_bos_are_never_emitted_nor_what_is_forbidden(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor
) -> None:
    with torch.no_grad():
        model.output.weight[:3] *= 10  # would like to say pad, unk and bos above all
    seen = set()
    for search in (Greedy(), Beam(5, n_best=5)):
        for found in search(model, source, source_lengths):
            seen |= {token for hypothesis in found for token in hypothesis.tokens}
    assert 1 in seen
    assert not seen & {0, 2, 3}
    for search in (Greedy(forbid=[1, 5]), Beam(5, n_best=5, forbid=[1, 5])):
        for found in search(model, source, source_lengths):
            assert not any(token in (1, 5) for h in found for token in h.tokens)


def test_the_limit_of_length_is_kept_and_depends_on_the_sentence_alone(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor
) -> None:
    with torch.no_grad():
        model.output.weight[3] = -5 * model.output.weight[4:].sum(0)  # seldom ends by itself
    options = {"max_length_ratio": 1.0, "max_length_offset": 1}
    for search in (Greedy(**options), Beam(3, n_best=3, **options)):
        for length, found in zip(
            source_lengths.tolist(), search(model, source, source_lengths), strict=True
        ):
            assert max(len(hypothesis.tokens) for hypothesis in found) <= length + 1


def test_a_model_with_numbered_positions_is_not_asked_for_more(source: Tensor) -> None:
    model = BUILDERS["transformer"]().double()
    model.max_length = 6
    for search in (Greedy(max_length_offset=99), Beam(2, max_length_offset=99)):
        for found in search(model, source, torch.tensor([5, 3, 2, 4])):
            assert len(found[0].tokens) <= 5


def test_search_leaves_the_model_in_its_mode_and_has_no_dropout(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor
) -> None:
    for search in (Greedy(), Beam(3)):
        expected = search(model.eval(), source, source_lengths)
        assert search(model.train(), source, source_lengths) == expected
        assert model.training
        assert search(model, source[:0], source_lengths[:0]) == []


def test_never_stopping_early_finds_nothing_better_than_the_exact_rule(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor
) -> None:
    for kind, alpha in PENALTIES:
        options = {"beam_size": 4, "length_penalty": kind, "alpha": alpha, "n_best": 2}
        exact, steps = counted(model, source, source_lengths, early_stopping="exact", **options)
        never, more = counted(model, source, source_lengths, early_stopping="never", **options)
        assert [[h.tokens for h in row] for row in exact] == [
            [h.tokens for h in row] for row in never
        ]
        assert steps <= more
        first, fewer = counted(model, source, source_lengths, early_stopping="first", **options)
        assert fewer <= steps
        for early, late in zip(first, exact, strict=True):
            assert early[0].score <= late[0].score + 1e-12  # sums in another order


def test_the_rules_of_stopping_differ_in_steps(source: Tensor, source_lengths: Tensor) -> None:
    torch.manual_seed(2)
    model = BUILDERS["transformer"]().double()
    with torch.no_grad():
        model.output.weight[3] *= 0.2
    options = {"beam_size": 5, "alpha": 0.0, "max_length": 12}
    rules = ("first", "exact", "never")
    steps = [
        counted(model, source, source_lengths, early_stopping=rule, **options)[1] for rule in rules
    ]
    assert steps[0] < steps[1] < steps[2]


def counted(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor, **options: object
) -> tuple[list[list[Hypothesis]], int]:
    """Return the result of beam search, and how many rows the model computed for it."""
    rows = 0
    step = model.step

    def counting(state: State, token: Tensor, **kind: bool) -> Step:
        nonlocal rows
        rows += token.numel()
        return step(state, token, **kind)

    model.step = counting
    try:
        return Beam(**options)(model, source, source_lengths), rows
    finally:
        del model.step


@pytest.mark.parametrize("size", [1, 2, 4, 8, 300])
def test_a_search_that_reports_completeness_has_found_the_best(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor, size: int
) -> None:
    limits = {"max_length_ratio": 0.0, "max_length_offset": 3}
    said = []
    for kind, alpha in PENALTIES:
        penalty = LengthPenalty(kind, alpha)
        search = Beam(size, kind, alpha, **limits)
        for row, (found,) in enumerate(search(model, source, source_lengths)):
            truth = all_translations(model, source[row], int(source_lengths[row]), 3)
            best = max(
                float(penalty.score(torch.tensor(total), torch.tensor(len(tokens) + 1.0)))
                for tokens, total in truth.items()
            )
            said.append(found.complete)
            if found.complete:
                assert found.score == pytest.approx(best)
    assert size < 300 or all(said), "a beam of everything drops nothing"
    assert size > 1 or not all(said)


def test_a_small_beam_may_prove_that_it_found_the_best(
    source: Tensor, source_lengths: Tensor
) -> None:
    torch.manual_seed(2)
    model = BUILDERS["sparse output"]().double()
    torch.nn.init.normal_(model.output.weight, std=1.0)
    found = Beam(4, alpha=0.0, max_length=5)(model, source, source_lengths)
    assert any(row[0].complete for row in found)
    greedy = Greedy(max_length=5)(model, source, source_lengths)
    assert not any(row[0].complete for row in greedy)


def test_coverage_favors_hypotheses_that_attend_to_the_whole_source(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor
) -> None:
    options = {"max_length_ratio": 0.0, "max_length_offset": 3, "alpha": 1.0, "n_best": 3}
    plain = Beam(128, **options)(model, source, source_lengths)
    found = Beam(128, coverage=0.7, **options)(model, source, source_lengths, return_attention=True)
    assert [[h.tokens for h in row] for row in plain] != [[h.tokens for h in row] for row in found]
    for row, hypotheses in enumerate(found):
        length = int(source_lengths[row])
        scores = {}
        for tokens, total in all_translations(model, source[row], length, 3).items():
            inputs = torch.tensor([[2, *tokens]])
            with torch.no_grad():
                attention = model(
                    source[row : row + 1, :length],
                    torch.tensor([length]),
                    inputs,
                    return_attention=True,
                ).attention
            looked = attention[0].mean((0, 1)).sum(0).tolist()
            penalty = sum(math.log(min(max(p, 0.01), 1.0)) for p in looked)
            if total > -math.inf:
                scores[tokens] = total / (len(tokens) + 1) + 0.7 * penalty
        best = sorted(scores, key=lambda tokens: -scores[tokens])[:3]
        assert [tuple(h.tokens) for h in hypotheses] == best or not best
        for hypothesis in hypotheses if best else ():
            assert hypothesis.score == pytest.approx(scores[tuple(hypothesis.tokens)], abs=1e-5)


def test_groups_are_beams_of_their_own_where_diversity_is_free(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor
) -> None:
    small = Beam(2, n_best=2)(model, source, source_lengths)
    groups = Beam(6, n_best=6, groups=3, diversity=0.0)(model, source, source_lengths)
    for one, many in zip(small, groups, strict=True):
        assert [h.tokens for h in many][:2] == [h.tokens for h in one]
        assert len(many) <= 2, "what several groups found is returned once"


def test_diverse_groups_choose_other_tokens(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor
) -> None:
    """Groups of one hypothesis, against the definition: each is greedy under the costs so far."""
    cost, length = 1.5, 4
    options = {"beam_size": 3, "n_best": 3, "groups": 3, "diversity": cost, "max_length": length}
    found = Beam(alpha=0.0, **options)(model, source, source_lengths)
    for row, hypotheses in enumerate(found):
        size = int(source_lengths[row])
        groups: list[list[int]] = [[], [], []]
        for position in range(length + 1):
            chosen: list[int] = []
            for tokens in groups:
                if 3 in tokens:
                    continue
                with torch.no_grad():
                    logits = model(
                        source[row : row + 1, :size],
                        torch.tensor([size]),
                        torch.tensor([[2, *tokens]]),
                    ).logits[:, -1]
                step = log_probabilities(logits, model.output_mapping, torch.tensor([0, 2]))[0]
                if position == length:
                    best = 3
                else:
                    merit = [float(p) - cost * chosen.count(i) for i, p in enumerate(step)]
                    best = max(range(len(merit)), key=merit.__getitem__)
                tokens.append(best)
                chosen += [best] if best != 3 else []
        expected = {tuple(tokens[:-1]) for tokens in groups}
        assert {tuple(h.tokens) for h in hypotheses if h.score > -math.inf} <= expected
        if not isinstance(model.output_mapping, Sparsemax):
            assert {tuple(h.tokens) for h in hypotheses} == expected


def test_impossible_options_are_refused() -> None:
    with pytest.raises(ValueError, match="groups=3 does not divide beam_size=5"):
        Beam(5, groups=3)
    with pytest.raises(ValueError, match="coverage=-1"):
        Beam(5, coverage=-1)
    with pytest.raises(ValueError, match="choose one of exact, first, never"):
        Beam(5, early_stopping="sometimes")
    with pytest.raises(ValueError, match="n_best=3 has to be between 1 and beam_size=2"):
        Beam(2, n_best=3)
    with pytest.raises(ValueError, match="choose one of average, gnmt"):
        Beam(2, length_penalty="none")


@given(
    st.sampled_from(["average", "gnmt"]),
    st.floats(-3, 3),
    st.floats(-50, 0),
    st.lists(st.floats(-10, 0), min_size=1, max_size=20),
)
def test_no_continuation_exceeds_the_bound(
    kind: str, alpha: float, log_probability: float, continuation: list[float]
) -> None:
    penalty = LengthPenalty(kind, alpha)
    number = torch.tensor(log_probability, dtype=torch.float64)
    longest = torch.tensor(4.0 + len(continuation))
    bound = penalty.bound(number, torch.tensor(5.0), longest)
    total = number + torch.tensor(continuation, dtype=torch.float64).sum()
    reached = penalty.score(total, longest)
    assert reached <= bound + 1e-9
