"""Ensembles: the mean of the probabilities, in one pass and step by step."""

import pytest
import torch
from small_models import recurrent, transformer
from torch import Tensor

from seq2seq.mappings import Sparsemax
from seq2seq.models import EncoderDecoder, Ensemble
from seq2seq.search import Beam, Sample

OPTIONS = {"atol": 1e-10, "rtol": 0.0}


def members() -> list[EncoderDecoder]:
    models = [
        transformer("sparsemax"),
        recurrent("fusedmax"),
        recurrent(output_mapping=Sparsemax(), input_feeding=False),
    ]
    for number, model in enumerate(models):
        torch.manual_seed(number)
        torch.nn.init.normal_(model.output.weight, std=0.7)
    return models


def test_probabilities_are_the_mean_of_the_members(
    source: Tensor, source_lengths: Tensor, target: Tensor
) -> None:
    models = members()
    together = Ensemble(models)(source, source_lengths, target, return_attention=True)
    outputs = [m(source, source_lengths, target, return_attention=True) for m in models]
    mean = sum(m.output_mapping(o.logits) for m, o in zip(models, outputs, strict=True)) / 3
    torch.testing.assert_close(together.logits.softmax(-1), mean, **OPTIONS)
    looked = sum(o.attention.mean((1, 2)) for o in outputs) / 3
    torch.testing.assert_close(together.attention[:, 0, 0], looked, **OPTIONS)
    assert Ensemble(models)(source, source_lengths, target).attention is None


def test_steps_agree_with_one_pass(source: Tensor, source_lengths: Tensor, target: Tensor) -> None:
    model = Ensemble(members()).eval()
    whole = model(source, source_lengths, target, return_attention=True)
    order = torch.tensor([2, 0])
    state = model.start(source, source_lengths).widen(2)
    swap = torch.tensor([1, 0, 3, 2, 5, 4])
    for position, token in enumerate(target.unbind(1)):
        step = model.step(state, token.repeat_interleave(2), return_attention=True)
        torch.testing.assert_close(step.logits[::2], whole.logits[:, position], **OPTIONS)
        row = whole.attention[:, :, :, position : position + 1]
        torch.testing.assert_close(step.attention[1::2], row, **OPTIONS)
        state = step.state.reorder(swap)
    kept, picked = state.keep(order), state.select(torch.tensor([4, 5, 0, 1]))
    assert kept.batch_size == picked.batch_size == 4
    token = torch.tensor([5, 6, 7, 8])
    torch.testing.assert_close(
        model.step(kept, token).logits, model.step(picked, token).logits, **OPTIONS
    )


def test_searches_take_it_for_a_model(source: Tensor, source_lengths: Tensor) -> None:
    model = Ensemble(members()).eval()
    for search in (Beam(4, n_best=2, max_length=5), Sample(max_length=5)):
        for row, found in enumerate(search(model, source, source_lengths, return_attention=True)):
            tokens = torch.tensor([found[0].tokens], dtype=torch.long)
            bos, eos = torch.full((1, 1), 2), torch.full((1, 1), 3)
            size = int(source_lengths[row])
            output = model(
                source[row : row + 1, :size],
                torch.tensor([size]),
                torch.cat([bos, tokens], 1),
                return_attention=True,
            )
            logits = output.logits.index_fill(-1, torch.tensor([0, 2]), -torch.inf)
            labels = torch.cat([tokens, eos], 1)
            expected = logits.log_softmax(-1).gather(-1, labels[..., None]).sum()
            assert found[0].log_probability == pytest.approx(float(expected.detach()), rel=1e-5)
            torch.testing.assert_close(found[0].attention, output.attention[0])


def test_an_ensemble_of_one_is_that_one(source: Tensor, source_lengths: Tensor) -> None:
    for model in members()[:2]:
        alone = Beam(3)(model, source, source_lengths)
        one = Beam(3)(Ensemble([model]), source, source_lengths)
        assert [found[0].tokens for found in alone] == [found[0].tokens for found in one]


def test_the_shortest_limit_of_positions_holds() -> None:
    assert Ensemble(members()).max_length == 32
    assert Ensemble(members()[1:]).max_length is None


def test_models_of_other_vocabularies_are_refused() -> None:
    smaller = transformer(pad_id=1)
    with pytest.raises(ValueError, match="have to share their vocabularies"):
        Ensemble([transformer(), smaller])
    with pytest.raises(ValueError, match="at least one"):
        Ensemble([])
