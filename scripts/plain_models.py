"""What one writes with `torch.nn` alone: the peers of our models in `bench_training.py`.

Each has the weights of ours, parameter for parameter, and with the same weights computes the same.
`model` is the configuration of ours, of `configs/model`.
"""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seq2seq.data.batch import PAD_ID
from seq2seq.nn.luong_attention import score_factor


class PlainRecurrent(nn.Module):
    """BiLSTM encoder, LSTM decoder in one call, Luong's general attention at all positions."""

    def __init__(
        self, source_vocabulary_size: int, target_vocabulary_size: int, model: DictConfig
    ) -> None:
        super().__init__()
        size, layers = model.hidden_size, model.encoder_layers
        self.factor = score_factor(size, model.strength == "relative")
        self.source = nn.Embedding(source_vocabulary_size, model.embedding_size, padding_idx=PAD_ID)
        self.target = nn.Embedding(target_vocabulary_size, model.embedding_size, padding_idx=PAD_ID)
        self.dropout = nn.Dropout(model.dropout)
        options = {"batch_first": True, "dropout": model.dropout}
        self.encoder = nn.LSTM(
            model.embedding_size, size // 2, layers, bidirectional=True, **options
        )
        self.decoder = self.build_decoder(model.embedding_size, size, layers, options)
        self.keys = nn.Linear(size, size, bias=False)
        self.attentional = nn.Linear(2 * size, size, bias=False)
        self.output = nn.Linear(size, target_vocabulary_size)

    def build_decoder(
        self, inputs: int, size: int, layers: int, options: dict[str, Any]
    ) -> nn.Module:
        return nn.LSTM(inputs, size, layers, **options)

    def forward(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        embedded = self.dropout(self.source(source))
        packed = pack_padded_sequence(
            embedded, lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        outputs, final = self.encoder(packed)
        memory, _ = pad_packed_sequence(outputs, batch_first=True)
        # [layers · 2, batch, size / 2] → [layers, batch, size]
        hidden, cell = (s.unflatten(0, (-1, 2)).transpose(1, 2).flatten(2) for s in final)
        decoded = self.decode(
            self.dropout(self.target(target)), (hidden, cell), memory, source == PAD_ID
        )
        return self.output(decoded)

    def decode(
        self, embedded: Tensor, first: tuple[Tensor, Tensor], memory: Tensor, padding: Tensor
    ) -> Tensor:
        hidden, _ = self.decoder(embedded, tuple(s.contiguous() for s in first))
        return self.attend(hidden, self.keys(memory), memory, padding)

    def attend(self, hidden: Tensor, keys: Tensor, memory: Tensor, padding: Tensor) -> Tensor:
        scores = torch.bmm(self.factor * hidden, keys.transpose(1, 2))
        weights = scores.masked_fill(padding[:, None], -math.inf).softmax(-1)
        context = torch.bmm(weights, memory)
        return self.dropout(torch.tanh(self.attentional(torch.cat([context, hidden], -1))))


class PlainInputFeeding(PlainRecurrent):
    """The same with input feeding: nn.LSTMCell, position after position."""

    def build_decoder(
        self, inputs: int, size: int, layers: int, options: dict[str, Any]
    ) -> nn.Module:
        return nn.ModuleList(nn.LSTMCell(size + (0 if n else inputs), size) for n in range(layers))

    def decode(
        self, embedded: Tensor, first: tuple[Tensor, Tensor], memory: Tensor, padding: Tensor
    ) -> Tensor:
        keys, cells = self.keys(memory), cast(nn.ModuleList, self.decoder)
        states = list(zip(*(s.unbind(0) for s in first), strict=True))
        fed, attentional = torch.zeros_like(states[0][0]), []
        for token in embedded.unbind(1):
            x = torch.cat([token, fed], -1)
            for layer, cell in enumerate(cells):
                x = self.dropout(x) if layer else x
                states[layer] = cell(x, states[layer])
                x = states[layer][0]
            fed = self.attend(x[:, None], keys, memory, padding).squeeze(1)
            attentional.append(fed)
        return torch.stack(attentional, 1)


class PlainTransformer(nn.Module):
    """nn.Transformer, pre-norm, sinusoidal positions, target embedding tied to the output."""

    positions: Tensor

    def __init__(
        self, source_vocabulary_size: int, target_vocabulary_size: int, model: DictConfig
    ) -> None:
        super().__init__()
        self.size = model.size
        self.source = nn.Embedding(source_vocabulary_size, model.size, padding_idx=PAD_ID)
        self.target = nn.Embedding(target_vocabulary_size, model.size, padding_idx=PAD_ID)
        for embedding in (self.source, self.target):
            nn.init.normal_(embedding.weight, std=model.size**-0.5)
        self.dropout = nn.Dropout(model.dropout)
        self.network = nn.Transformer(
            model.size,
            model.heads,
            model.encoder_layers,
            model.decoder_layers,
            model.feedforward_size,
            model.dropout,
            batch_first=True,
            norm_first=True,
        )
        for module in self.network.modules():
            if isinstance(module, nn.MultiheadAttention):
                module.dropout = model.attention_dropout
        self.output = nn.Linear(model.size, target_vocabulary_size, bias=False)
        self.output.weight = self.target.weight
        rates = torch.exp(torch.arange(0, model.size, 2) * (-math.log(1e4) / model.size))
        angles = torch.arange(model.max_length)[:, None] * rates
        table = torch.stack([angles.sin(), angles.cos()], -1).flatten(1)
        self.register_buffer("positions", table, persistent=False)

    def forward(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        padding = source == PAD_ID
        decoded = self.network(
            self._embed(self.source, source),
            self._embed(self.target, target),
            tgt_mask=nn.Transformer.generate_square_subsequent_mask(target.size(1), target.device),
            src_key_padding_mask=padding,
            memory_key_padding_mask=padding,
            tgt_is_causal=True,
        )
        return self.output(decoded)

    def _embed(self, embedding: nn.Embedding, ids: Tensor) -> Tensor:
        return self.dropout(embedding(ids) * self.size**0.5 + self.positions[: ids.size(1)])
