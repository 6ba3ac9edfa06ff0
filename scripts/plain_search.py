"""What one writes for beam search by hand: the peer of ours in `bench_search.py`.

It searches the plain recurrent model of `plain_models.py`: the source is encoded once, its keys are
kept, the states are reordered with the beam, and every step takes the best of beam · vocabulary.
"""

from __future__ import annotations

import torch
from plain_models import PlainRecurrent
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seq2seq.data.batch import BOS_ID, EOS_ID, PAD_ID


@torch.inference_mode()
def beam_search(
    model: PlainRecurrent, source: Tensor, lengths: Tensor, beam: int, steps: int
) -> Tensor:
    """Return the best of `beam` hypotheses of `steps` tokens, with eos: `[batch, steps]`."""
    batch = source.size(0)
    packed = pack_padded_sequence(
        model.source(source), lengths, batch_first=True, enforce_sorted=False
    )
    outputs, final = model.encoder(packed)
    memory, _ = pad_packed_sequence(outputs, batch_first=True)
    states = tuple(s.unflatten(0, (-1, 2)).transpose(1, 2).flatten(2) for s in final)
    states = tuple(s.repeat_interleave(beam, 1) for s in states)
    keys = model.keys(memory).repeat_interleave(beam, 0)
    memory = memory.repeat_interleave(beam, 0)
    padding = (source == PAD_ID).repeat_interleave(beam, 0)

    first = torch.arange(batch)[:, None] * beam
    scores = torch.full((batch, beam), -torch.inf)
    scores[:, 0] = 0.0
    tokens = torch.full((batch * beam, 1), BOS_ID)
    for step in range(steps):
        hidden, states = model.decoder(model.target(tokens[:, -1:]), states)
        attentional = model.attend(hidden, keys, memory, padding)
        log_p = model.output(attentional.squeeze(1)).log_softmax(-1)
        if step == steps - 1:
            end = log_p[:, EOS_ID].clone()
            log_p.fill_(-torch.inf)
            log_p[:, EOS_ID] = end
        else:
            log_p[:, [PAD_ID, BOS_ID, EOS_ID]] = -torch.inf
        total = (scores[:, :, None] + log_p.view(batch, beam, -1)).flatten(1)
        scores, flat = total.topk(beam, 1)
        rows = (first + flat // log_p.size(1)).flatten()
        tokens = torch.cat([tokens[rows], (flat % log_p.size(1)).view(-1, 1)], 1)
        states = tuple(s.index_select(1, rows) for s in states)
    return tokens.view(batch, beam, -1)[:, 0, 1:]
