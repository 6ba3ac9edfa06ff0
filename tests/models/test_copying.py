"""Models that copy words outside the vocabulary, in training and in search."""

import pytest
import torch
from small_models import TARGET_SIZE, recurrent, transformer
from torch import Tensor

from seq2seq.mappings import Softmax, Sparsemax
from seq2seq.models import EncoderDecoder, Ensemble, Recurrent, Transformer
from seq2seq.nn.losses import SequenceLoss
from seq2seq.search import Beam, Greedy

UNK, V = 1, TARGET_SIZE
BUILDERS = {
    "recurrent": lambda **options: recurrent(copying=True, **options),
    "recurrent without feeding": lambda **options: recurrent(
        copying=True, input_feeding=False, coverage=True, **options
    ),
    "transformer": lambda **options: transformer(copying=True, **options),
}
TOLERANCE = {"atol": 1e-10, "rtol": 0.0}


@pytest.fixture(params=BUILDERS)
def model(request: pytest.FixtureRequest) -> EncoderDecoder:
    return BUILDERS[request.param](mapping="sparsemax")


@pytest.fixture
def source() -> Tensor:
    return torch.tensor([[4, V, 6, V + 1, V, 3], [8, 9, 3, 0, 0, 0], [V, 11, 12, 3, 0, 0]])


@pytest.fixture
def source_lengths() -> Tensor:
    return torch.tensor([6, 3, 4])


@pytest.fixture
def target() -> Tensor:
    return torch.tensor([[2, V, V + 1, 6], [2, 7, 8, 9], [2, V, 4, 11]])


def test_predictions_are_the_mixture_of_the_attention(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor, target: Tensor
) -> None:
    output = model(source, source_lengths, target, return_attention=True)
    probabilities = output.logits.exp()
    assert probabilities.shape == (3, 4, V + 2)
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(3, 4, dtype=torch.float64))
    weights = output.attention[:, -1].mean(1)
    first, second = weights[0, :, [1, 4]].sum(-1), weights[0, :, 3]
    ratio = probabilities[0, :, V] * second - probabilities[0, :, V + 1] * first
    torch.testing.assert_close(ratio, torch.zeros_like(ratio))
    assert ((probabilities[0, :, V] == 0) == (first == 0)).all()
    assert (probabilities[1, :, V:] == 0).all()
    assert (probabilities[2, :, V + 1] == 0).all()


def test_words_beyond_the_vocabulary_are_read_as_unknown(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor, target: Tensor
) -> None:
    extended = model(source, source_lengths, target, return_attention=True)
    unknown = model(
        source.masked_fill(source >= V, UNK),
        source_lengths,
        target.masked_fill(target >= V, UNK),
        return_attention=True,
    )
    torch.testing.assert_close(extended.attention, unknown.attention, **TOLERANCE)
    moved = extended.logits.exp()
    expected = unknown.logits.exp()
    torch.testing.assert_close(moved[..., 2:V], expected[..., 2:V], **TOLERANCE)
    torch.testing.assert_close(
        moved[..., UNK] + moved[..., V:].sum(-1), expected[..., UNK], **TOLERANCE
    )


def test_steps_agree_with_one_pass_and_with_each_sentence_alone(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor, target: Tensor
) -> None:
    whole = model(source, source_lengths, target)
    state = model.start(source, source_lengths).widen(2)
    for position, token in enumerate(target.unbind(1)):
        logits, state, _ = model.step(state, token.repeat_interleave(2))
        expected = whole.logits[:, position].repeat_interleave(2, dim=0)
        torch.testing.assert_close(logits, expected, **TOLERANCE)
    for row, length in enumerate(source_lengths.tolist()):
        one = slice(row, row + 1)
        alone = model(source[one, :length], source_lengths[one], target[one]).logits
        width = alone.size(-1)
        torch.testing.assert_close(whole.logits[one, :, :width], alone, **TOLERANCE)
        assert (whole.logits[one, :, width:] == -torch.inf).all()


@pytest.mark.parametrize("search", [Greedy(), Beam(beam_size=3)], ids=["greedy", "beam"])
def test_search_finds_the_same_in_any_batch(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor, search: Greedy | Beam
) -> None:
    with torch.no_grad():
        model.pointer_generator.state.bias.fill_(-2.0)  # copies most of the time
    together = search(model, source, source_lengths)
    assert any(token >= V for (best,) in together for token in best.tokens)
    for row, length in enumerate(source_lengths.tolist()):
        one = slice(row, row + 1)
        ((alone,),) = search(model, source[one, :length], source_lengths[one])
        assert together[row][0].tokens == alone.tokens
        assert together[row][0].score == pytest.approx(alone.score)
        assert {token for token in alone.tokens if token >= V} <= set(source[row].tolist())


def test_bfloat16_autocast_mixes_in_float32(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor, target: Tensor
) -> None:
    model = model.float()
    exact = model(source, source_lengths, target).logits
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(source, source_lengths, target).logits
        loss = SequenceLoss(0.1)(logits, target, model.output_mapping)
        state = model.start(source, source_lengths)
        step = model.step(state, target[:, 0]).logits
    assert logits.dtype == step.dtype == loss.loss_sum.dtype == torch.float32
    torch.testing.assert_close(logits.exp().sum(-1), torch.ones(3, 4))
    torch.testing.assert_close(logits.exp(), exact.exp(), atol=0.02, rtol=0.0)
    loss.loss_sum.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("family", [Recurrent, Transformer])
def test_two_vocabularies_are_refused(family: type[EncoderDecoder]) -> None:
    mapping = {"mapping" if family is Recurrent else "cross_mapping": Softmax()}
    with pytest.raises(
        ValueError, match=r"11 entries and the target 12; set data\.subwords\.joint"
    ):
        family(11, 12, copying=True, **mapping)


def test_a_sparse_output_layer_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"output_mapping=Sparsemax cannot be combined with copying=true"
    ):
        Recurrent(12, 12, mapping=Softmax(), copying=True, output_mapping=Sparsemax())


@pytest.mark.parametrize("family", ["recurrent", "transformer"])
def test_words_never_seen_are_copied(family: str) -> None:
    """After the mark 4 comes the word to say, known or not; the others only distract."""
    torch.manual_seed(1)
    size = 10

    def examples(count: int) -> tuple[Tensor, Tensor]:
        words = torch.randint(5, size + 4, (count, 4))
        words = torch.where(words < size, words, size + torch.arange(4))  # V + k, numbered in order
        seen = (words >= size).cumsum(1)
        words = torch.where(words >= size, size + seen - 1, words)
        mark = torch.randint(0, 4, (count,))
        columns = torch.arange(5)
        at = torch.where(columns < mark[:, None], columns, columns - 1).clamp(0, 3)
        source = words.gather(1, at.where(columns != mark[:, None], 0))
        source = source.where(columns != mark[:, None], 4)
        said = words.gather(1, mark[:, None])
        end = torch.full((count, 1), 3)
        return torch.cat([source, end], 1), torch.cat([torch.full((count, 1), 2), said, end], 1)

    options = {"copying": True, "dropout": 0.0}
    if family == "recurrent":
        model: EncoderDecoder = Recurrent(
            size, size, mapping=Sparsemax(), embedding_size=24, hidden_size=32, **options
        )
    else:
        shape = {"size": 32, "feedforward_size": 64, "encoder_layers": 2, "decoder_layers": 1}
        model = Transformer(size, size, cross_mapping=Softmax(), **shape, **options)
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    lengths = torch.full((64,), 6)
    for _ in range(300):
        source, target = examples(64)
        logits = model(source, lengths, target[:, :-1]).logits
        total, _, tokens = SequenceLoss()(logits, target[:, 1:], model.output_mapping)
        optimizer.zero_grad()
        (total / tokens).backward()
        optimizer.step()
    source, target = examples(64)
    found = Greedy()(model, source, lengths)
    right = [
        best.tokens == [word] for (best,), word in zip(found, target[:, 1].tolist(), strict=True)
    ]
    unknown = (target[:, 1] >= size).tolist()
    assert sum(unknown) > 10
    assert sum(r for r, u in zip(right, unknown, strict=True) if u) >= 0.95 * sum(unknown)


def test_an_ensemble_copies_by_the_mean_of_its_members(
    source: Tensor, source_lengths: Tensor, target: Tensor
) -> None:
    members = [build(mapping="sparsemax") for build in BUILDERS.values()]
    model = Ensemble(members).eval()
    logits = model(source, source_lengths, target).logits
    mean = sum(m(source, source_lengths, target).logits.exp() for m in members) / len(members)
    torch.testing.assert_close(logits.exp(), mean, **TOLERANCE)
    assert model.copying
    together = Beam(3)(model, source, source_lengths)
    ((alone,),) = Beam(3)(model, source[:1], source_lengths[:1])
    assert together[0][0].tokens == alone.tokens
    with pytest.raises(ValueError, match="either all copy or none"):
        Ensemble([members[0], recurrent()])
