"""The options of the recurrent model, and what it can learn."""

from typing import ClassVar

import pytest
import torch
from torch import Tensor

from seq2seq.mappings import ConstrainedSparsemax, Fusedmax, Mapping, Softmax, Sparsemax
from seq2seq.models import Recurrent


def build(**options: object) -> Recurrent:
    torch.manual_seed(0)
    defaults = {"embedding_size": 8, "hidden_size": 8, "mapping": Softmax()}
    return Recurrent(20, 20, **(defaults | options)).double().eval()


class Counting(Softmax):
    """Softmax that notes the shapes it is called with."""

    shapes: ClassVar[list[tuple[int, ...]]] = []  # of all copies, such as that of a layer

    def forward(self, scores: Tensor, mask: Tensor | None = None) -> Tensor:
        self.shapes.append(tuple(scores.shape))
        return super().forward(scores, mask)


@pytest.mark.parametrize(("feeding", "shapes"), [(False, [(3, 4, 5)]), (True, [(3, 1, 5)] * 4)])
def test_without_input_feeding_all_positions_attend_in_one_call(
    feeding: bool,
    shapes: list[tuple[int, ...]],
    source: Tensor,
    source_lengths: Tensor,
    target: Tensor,
) -> None:
    Counting.shapes.clear()
    build(mapping=Counting(), input_feeding=feeding)(source, source_lengths, target)
    assert Counting.shapes == shapes


def test_only_with_input_feeding_a_state_depends_on_earlier_attention(
    source: Tensor, source_lengths: Tensor, target: Tensor
) -> None:
    def queries(feeding: bool, mapping: Mapping) -> Tensor:
        model = build(mapping=mapping, input_feeding=feeding)
        seen: list[Tensor] = []
        model.decoder.attention.query.register_forward_pre_hook(
            lambda _, inputs: seen.append(inputs[0])
        )
        model(source, source_lengths, target)
        return torch.cat(seen, dim=1)

    softmax, sparsemax = Softmax(), Sparsemax(gamma=0.01)
    torch.testing.assert_close(queries(False, softmax), queries(False, sparsemax))
    fed, other = queries(True, softmax), queries(True, sparsemax)
    torch.testing.assert_close(fed[:, 0], other[:, 0])
    assert not torch.allclose(fed[:, 1:], other[:, 1:])


@pytest.mark.parametrize("feeding", [False, True])
def test_no_word_receives_more_than_its_fertility_but_the_end_of_the_sentence(
    feeding: bool, source: Tensor, source_lengths: Tensor
) -> None:
    target = torch.randint(4, 20, (3, 12), generator=torch.Generator().manual_seed(0))
    model = build(mapping=ConstrainedSparsemax(fertility=1.5), input_feeding=feeding)
    attention = model(source, source_lengths, target, return_attention=True).attention
    received = attention[:, 0, 0].sum(1)
    words = torch.arange(5) < source_lengths[:, None] - 1
    assert received[words].max() <= 1.5 + 1e-12
    assert received[words].sum() > 0.9 * 1.5 * words.sum()  # 12 steps spend nearly all of it
    torch.testing.assert_close(received.sum(-1), torch.full((3,), 12.0, dtype=torch.float64))
    free = build(mapping=Sparsemax(), input_feeding=feeding)
    assert not torch.allclose(
        free(source, source_lengths, target).logits, model(source, source_lengths, target).logits
    )
    rich = build(mapping=ConstrainedSparsemax(fertility=12.0), input_feeding=feeding)
    torch.testing.assert_close(
        free(source, source_lengths, target).logits, rich(source, source_lengths, target).logits
    )


def test_bounds_have_no_place_in_the_output_layer() -> None:
    with pytest.raises(ValueError, match="output_mapping=ConstrainedSparsemax bounds the sum"):
        build(output_mapping=ConstrainedSparsemax())


def test_tied_embeddings_are_one_table() -> None:
    model = build(tie_embeddings="all")
    assert model.output.weight is model.target_embedding.weight is model.source_embedding.weight
    model = build(tie_embeddings="target")
    assert model.output.weight is model.target_embedding.weight
    assert model.source_embedding.weight is not model.target_embedding.weight
    assert build().output.weight is not build().target_embedding.weight


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "rnn"}, "cell='rnn' is unknown; choose one of lstm, gru"),
        ({"score": "concat"}, "choose one of dot, general, additive"),
        ({"bridge": "none"}, "choose one of copy, linear"),
        ({"tie_embeddings": "yes"}, "choose one of none, target, all"),
        ({"bridge": "copy", "decoder_layers": 2}, "use bridge=linear"),
        ({"hidden_size": 7}, "has to be even"),
        ({"tie_embeddings": "target", "embedding_size": 4}, "set embedding_size=8"),
    ],
)
def test_impossible_options_are_refused_with_a_way_out(
    options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_tying_all_needs_one_vocabulary() -> None:
    with pytest.raises(ValueError, match="the source has 20 entries and the target 21"):
        Recurrent(20, 21, mapping=Softmax(), tie_embeddings="all")


def test_unidirectional_encoder_reads_no_further_than_each_position(
    source: Tensor, source_lengths: Tensor
) -> None:
    for bidirectional in (False, True):
        model = build(bidirectional=bidirectional, mapping=Fusedmax())
        changed = source.clone()
        changed[:, 2] = 19
        before, after = (
            model.encoder(model.source_embedding(ids), source_lengths)[0]
            for ids in (source, changed)
        )
        assert torch.allclose(before[:, :2], after[:, :2]) is not bidirectional


def test_a_number_for_each_head_is_one_for_the_layer(
    source: Tensor, source_lengths: Tensor, target: Tensor
) -> None:
    logits = []
    for per in ("layer", "head"):
        model = build(mapping=Fusedmax(gamma=0.3, lam=0.1, learn=["gamma", "lam"], per=per))
        (held,) = model.attention_mappings()["cross"]
        assert [value.numel() for value in held.tensors().values()] == [1, 1]
        logits.append(model(source, source_lengths, target).logits)
    assert torch.equal(*logits)
