import torch
from lightning_utilities.core.apply_func import apply_to_collection

from seq2seq.data import BOS_ID, EOS_ID, PAD_ID, Batch

BATCH = Batch(
    source=torch.tensor([[5, 6, 7, EOS_ID], [5, EOS_ID, PAD_ID, PAD_ID]]),
    target=torch.tensor([[BOS_ID, 8, EOS_ID, PAD_ID], [BOS_ID, 8, 9, EOS_ID]]),
    source_lengths=torch.tensor([4, 2]),
    target_lengths=torch.tensor([3, 4]),
    indices=torch.tensor([3, 0]),
)


def test_decoder_is_asked_for_the_token_after_each_that_it_reads():
    assert BATCH.target_input.tolist() == [[BOS_ID, 8, EOS_ID], [BOS_ID, 8, 9]]
    assert BATCH.target_output.tolist() == [[8, EOS_ID, PAD_ID], [8, 9, EOS_ID]]


def test_masks_are_true_exactly_at_real_tokens():
    assert torch.equal(BATCH.source_mask, BATCH.source != PAD_ID)
    assert torch.equal(BATCH.target_mask, BATCH.target_output != PAD_ID)


def test_tokens_and_slots_count_what_the_model_computes_on():
    real = (BATCH.source != PAD_ID).sum() + (BATCH.target_output != PAD_ID).sum()
    assert BATCH.tokens == real == 11
    assert BATCH.slots == BATCH.source.numel() + BATCH.target_output.numel() == 14


def test_half_precision_plugins_can_rebuild_a_batch():
    rebuilt = apply_to_collection(BATCH, dtype=torch.Tensor, function=lambda x: x + 1)
    assert torch.equal(rebuilt.source, BATCH.source + 1)


def test_moving_moves_all_tensors():
    moved = BATCH.to("meta")
    assert {t.device.type for t in vars(moved).values() if t is not None} == {"meta"}
