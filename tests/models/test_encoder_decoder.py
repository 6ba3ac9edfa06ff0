"""Properties of every encoder-decoder, with all its options."""

import torch
from torch import Tensor

from seq2seq.models import EncoderDecoder
from seq2seq.nn.losses import SequenceLoss

TOLERANCE = {"atol": 1e-10, "rtol": 0.0}


def test_step_by_step_decoding_agrees_with_one_pass(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor, target: Tensor
) -> None:
    whole = model(source, source_lengths, target, return_attention=True)
    assert whole.attention is not None
    state = model.start(source, source_lengths)
    for position, token in enumerate(target.unbind(1)):
        logits, state, attention = model.step(state, token, return_attention=True)
        torch.testing.assert_close(logits, whole.logits[:, position], **TOLERANCE)
        row = whole.attention[:, :, :, position : position + 1]
        torch.testing.assert_close(attention, row, **TOLERANCE)


def test_padding_and_neighbors_in_the_batch_change_nothing(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor, target: Tensor
) -> None:
    together = model(source, source_lengths, target).logits
    wide = torch.nn.functional.pad(source, (0, 3), value=17)  # padding is known by length alone
    torch.testing.assert_close(model(wide, source_lengths, target).logits, together, **TOLERANCE)
    for row, length in enumerate(source_lengths.tolist()):
        one = slice(row, row + 1)
        alone = model(source[one, :length], source_lengths[one], target[one]).logits
        torch.testing.assert_close(alone, together[one], **TOLERANCE)


def test_a_prediction_knows_nothing_of_later_target_tokens(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor, target: Tensor
) -> None:
    changed = target.clone()
    changed[:, 2:] = 13
    before = model(source, source_lengths, target).logits
    after = model(source, source_lengths, changed).logits
    torch.testing.assert_close(after[:, :2], before[:, :2], **TOLERANCE)
    assert not torch.allclose(after[:, 2:], before[:, 2:])


def test_a_prediction_depends_on_source_and_earlier_target(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor, target: Tensor
) -> None:
    before = model(source, source_lengths, target).logits
    other_source, other_target = source.clone(), target.clone()
    other_source[:, 1] = 20
    other_target[:, 1] = 20
    assert not torch.allclose(model(other_source, source_lengths, target).logits, before)
    after = model(source, source_lengths, other_target).logits
    assert not torch.allclose(after[:, 3], before[:, 3])


def test_attention_is_a_distribution_over_the_real_source_and_zero_on_padding(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor, target: Tensor
) -> None:
    attention = model(source, source_lengths, target, return_attention=True).attention
    assert attention is not None
    assert attention.shape[0] == 3
    assert attention.shape[3:] == (4, 5)
    total = attention.sum(-1)
    torch.testing.assert_close(total, torch.ones_like(total))
    padding = torch.arange(5) >= source_lengths[:, None]
    assert (attention.permute(0, 4, 1, 2, 3)[padding] == 0).all()


def test_asking_for_attention_does_not_change_the_logits(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor, target: Tensor
) -> None:
    plain = model(source, source_lengths, target)
    assert plain.attention is None
    asked = model(source, source_lengths, target, return_attention=True)
    torch.testing.assert_close(asked.logits, plain.logits, **TOLERANCE)


def test_every_parameter_receives_a_gradient(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor, target: Tensor
) -> None:
    logits = model(source, source_lengths, target).logits
    SequenceLoss()(logits, target, model.output_mapping).loss_sum.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name
        assert parameter.grad.isfinite().all(), name


def test_hypotheses_of_one_sentence_step_like_sentences_of_their_own(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor
) -> None:
    tokens = torch.tensor([[2, 2], [4, 5], [6, 7]])  # two hypotheses, three steps
    wide = model.start(source, source_lengths).widen(2)
    single = model.start(source, source_lengths).select(torch.arange(3).repeat_interleave(2))
    assert wide.batch_size == single.batch_size == 6
    swap = torch.tensor([1, 0, 3, 2, 5, 4])
    for token in tokens:
        left = model.step(wide, token.repeat(3), return_attention=True)
        right = model.step(single, token.repeat(3), return_attention=True)
        torch.testing.assert_close(left.logits, right.logits, **TOLERANCE)
        torch.testing.assert_close(left.attention, right.attention, **TOLERANCE)
        wide, single = left.state.reorder(swap), right.state.select(swap)
    kept = wide.keep(torch.tensor([2, 0]))
    rows = single.select(torch.tensor([4, 5, 0, 1]))
    token = torch.tensor([8, 9, 10, 11])
    expected = model.step(rows, token).logits
    torch.testing.assert_close(model.step(kept, token).logits, expected, **TOLERANCE)
    picked = wide.select(torch.tensor([4, 5, 0, 1]))
    torch.testing.assert_close(model.step(picked, token).logits, expected, **TOLERANCE)


def test_dropout_acts_in_training_only(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor, target: Tensor
) -> None:
    torch.testing.assert_close(
        model(source, source_lengths, target).logits, model(source, source_lengths, target).logits
    )
    model.train()
    first, second = (model(source, source_lengths, target).logits for _ in range(2))
    assert not torch.allclose(first, second)


def test_the_loss_is_the_same_when_logits_are_left_to_it(
    model: EncoderDecoder, source: Tensor, source_lengths: Tensor, target: Tensor
) -> None:
    answer = torch.where(target == 2, 3, target).flip(1)
    losses, slopes = [], []
    for whole in (True, False):
        output = model.eval()(source, source_lengths, target, return_logits=whole)
        losses.append(SequenceLoss(0.1)(output.logits, answer, model.output_mapping).loss_sum)
        model.zero_grad()
        losses[-1].backward()
        slopes.append(
            {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        )
    torch.testing.assert_close(*losses, **TOLERANCE)
    torch.testing.assert_close(*slopes, **TOLERANCE)
