"""The options of the Transformer."""

import pytest
import torch
from torch import Tensor

from seq2seq.mappings import ConstrainedSparsemax, Entmax, Fusedmax, Mapping, Softmax, Sparsemax
from seq2seq.models import Transformer


def build(**options: object) -> Transformer:
    torch.manual_seed(0)
    defaults = {
        "cross_mapping": Softmax(),
        "size": 8,
        "feedforward_size": 16,
        "heads": 2,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "max_length": 16,
    }
    return Transformer(20, 20, **(defaults | options)).double().eval()


PLACES = ("encoder_mapping", "decoder_mapping", "cross_mapping")


@pytest.mark.parametrize("place", PLACES)
def test_each_attention_has_a_mapping_of_its_own(
    place: str, source: Tensor, source_lengths: Tensor, target: Tensor
) -> None:
    model = build(**{place: Sparsemax()})
    used = {
        "encoder_mapping": [layer.attention.mapping for layer in model.encoder],
        "decoder_mapping": [layer.attention.mapping for layer in model.decoder],
        "cross_mapping": [layer.cross_attention.mapping for layer in model.decoder],
    }
    for name, mappings in used.items():
        kind = Sparsemax if name == place else Softmax
        assert all(type(mapping) is kind for mapping in mappings)
    logits = model(source, source_lengths, target).logits
    assert not torch.allclose(logits, build()(source, source_lengths, target).logits)


@pytest.mark.parametrize(
    "options",
    [
        {"norm": "post"},
        {"positions": "learned"},
        {"positions": "rotary"},
        {"activation": "gelu"},
        {"tie_embeddings": "none"},
        {"tie_embeddings": "all"},
        {"heads": 4},
        {"cross_mapping": Softmax(gamma=0.1)},
    ],
    ids=str,
)
def test_each_option_changes_the_function(
    options: dict[str, object], source: Tensor, source_lengths: Tensor, target: Tensor
) -> None:
    before = build()(source, source_lengths, target).logits
    assert not torch.allclose(build(**options)(source, source_lengths, target).logits, before)


def test_attention_dropout_drops_attention(
    source: Tensor, source_lengths: Tensor, target: Tensor
) -> None:
    def spread(attention_dropout: float) -> float:
        model = build(dropout=0.0, attention_dropout=attention_dropout).train()
        draws = [model(source, source_lengths, target).logits.detach() for _ in range(3)]
        return float(torch.stack(draws).std(0).max())

    assert spread(0.0) == 0.0
    assert spread(0.5) > 0.01


def test_positions_tell_permuted_sources_apart(target: Tensor) -> None:
    source, lengths = torch.tensor([[4, 5, 6, 3]]), torch.tensor([4])
    permuted = torch.tensor([[6, 4, 5, 3]])
    for kind in ("sinusoidal", "learned", "rotary"):
        model = build(positions=kind)
        before = model(source, lengths, target[:1]).logits
        assert not torch.allclose(model(permuted, lengths, target[:1]).logits, before)


def test_an_error_for_a_long_source_says_how_to_fix_it() -> None:
    for kind in ("sinusoidal", "learned", "rotary"):
        model = build(positions=kind)
        with pytest.raises(ValueError, match=r"17 tokens .* max_length=16; shorten it"):
            model.start(torch.full((1, 17), 5), torch.tensor([17]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm": "none"}, "norm='none' is unknown; choose one of pre, post"),
        ({"positions": "absolute"}, "choose one of sinusoidal, learned, rotary"),
        ({"activation": "swish"}, "choose one of relu, gelu"),
        ({"cross_mapping": ConstrainedSparsemax()}, "use it in a recurrent model"),
        ({"encoder_mapping": ConstrainedSparsemax()}, "use it in a recurrent model"),
        ({"heads": 3}, "size=8 is not divisible by heads=3"),
        ({"heads": 8, "positions": "rotary"}, "even size per head"),
    ],
)
def test_impossible_options_are_refused_with_a_way_out(
    options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_each_layer_learns_parameters_of_its_own(
    source: Tensor, source_lengths: Tensor, target: Tensor
) -> None:
    mapping = Entmax(learn=["alpha"], per="head")
    model = build(cross_mapping=mapping, encoder_mapping=mapping)
    held = model.attention_mappings()
    learned = [m.learned()["alpha"].free for kind in ("cross", "encoder") for m in held[kind]]
    assert [tuple(parameter.shape) for parameter in learned] == [(2, 1, 1)] * 4
    assert len({id(parameter) for parameter in learned}) == 4
    assert {id(parameter) for parameter in learned} <= {id(p) for p in model.parameters()}
    assert {type(m) for m in held["decoder"]} == {Softmax}
    before = model(source, source_lengths, target, return_attention=True).attention
    with torch.no_grad():
        learned[1][0] += 1.0  # the first head of the second layer's cross-attention
    after = model(source, source_lengths, target, return_attention=True).attention
    same = (before == after).all(dim=-1).all(dim=-1).all(dim=0)
    assert same.tolist() == [[True, True], [False, True]]


def test_the_output_layer_does_not_learn_what_its_loss_is_measured_in() -> None:
    with pytest.raises(ValueError, match=r"output_mapping\.learn=\['alpha'\]"):
        build(output_mapping=Entmax(learn=["alpha"]))


@pytest.mark.parametrize("mapping", [Softmax(), Fusedmax(lam=0.05), Sparsemax(learn=["gamma"])])
def test_gradient_checkpointing_keeps_less_and_gives_the_same_gradients(mapping: Mapping) -> None:
    source = torch.randint(4, 20, (2, 9))
    found = []
    for checkpointing in (False, True):
        torch.manual_seed(1)
        model = build(
            cross_mapping=mapping.for_layer(), dropout=0.3, gradient_checkpointing=checkpointing
        ).train()
        kept = 0

        def keep(tensor: Tensor) -> Tensor:
            nonlocal kept
            kept += tensor.numel()
            return tensor

        torch.manual_seed(2)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            output = model(source, torch.tensor([9, 7]), source[:, :6])
        output.logits.square().sum().backward()
        found.append((kept, {n: p.grad for n, p in model.named_parameters()}))
    (whole, expected), (less, gradients) = found
    assert less < 0.6 * whole
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected[name], msg=name)
