"""The Transformer (Vaswani et al. 2017), with a choice of mapping for each kind of attention."""

from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from seq2seq.mappings import Mapping, Softmax
from seq2seq.models.attending import with_strength
from seq2seq.models.encoder_decoder import EncoderDecoder, Output, Step, source_mask
from seq2seq.models.state import State
from seq2seq.nn.choice import choose
from seq2seq.nn.history import History
from seq2seq.nn.multi_head_attention import KeysValues
from seq2seq.nn.positions import POSITIONS
from seq2seq.nn.transformer_layers import DecoderLayer, EncoderLayer

# Pre-norm layers do not normalize their output, so each stack of them ends with one more norm.
FINAL_NORMS: dict[str, type[nn.Module]] = {"pre": nn.LayerNorm, "post": nn.Identity}


class Transformer(EncoderDecoder):
    """An encoder with self-attention, and a decoder that attends to itself and to the source.

    Args:
        source_vocabulary_size: number of source subwords.
        target_vocabulary_size: number of target subwords.
        cross_mapping: scores → weights of the decoder's attention to the source.
        encoder_mapping: the same for the encoder's self-attention; softmax by default.
        decoder_mapping: the same for the decoder's self-attention; softmax by default.
        size: width of the model.
        feedforward_size: width of the hidden layer of the feed-forward networks.
        heads: number of attention heads; it must divide ``size``.
        encoder_layers: number of encoder layers.
        decoder_layers: number of decoder layers.
        dropout: dropout probability of embeddings, inside feed-forward networks and before each
            residual sum.
        attention_dropout: dropout probability of attention weights.
        norm: ``pre``: layer normalization before each sublayer; ``post``: after each residual sum.
        positions: ``sinusoidal``, ``learned`` or ``rotary``.
        tie_embeddings: ``none``, ``target`` (target embedding = output layer) or ``all``.
        max_length: largest number of tokens of a sequence, including bos and eos.
        activation: ``relu`` or ``gelu``.
        output_mapping: logits → probabilities; softmax by default.
        pad_id: the id of padding.
        unk_id: the id of the unknown word.
        copying: whether to copy words of the source (``nn.pointer_generator``) by the last layer's
            cross-attention, averaged over heads.
        strength: the unit of γ in all attention. ``absolute``: γ as in the literature.
            ``relative``: γ in units of the strength at which the mapping is comparable to softmax.
        gradient_checkpointing: whether training keeps only the input of each layer, and computes
            the layer again in the backward pass. It takes less memory and more time.
    """

    max_length: int

    def __init__(
        self,
        source_vocabulary_size: int,
        target_vocabulary_size: int,
        *,
        cross_mapping: Mapping,
        encoder_mapping: Mapping | None = None,
        decoder_mapping: Mapping | None = None,
        size: int = 256,
        feedforward_size: int = 1024,
        heads: int = 4,
        encoder_layers: int = 3,
        decoder_layers: int = 3,
        dropout: float = 0.1,
        attention_dropout: float = 0.0,
        norm: str = "pre",
        positions: str = "sinusoidal",
        tie_embeddings: str = "target",
        max_length: int = 1024,
        activation: str = "relu",
        output_mapping: Mapping | None = None,
        pad_id: int = 0,
        unk_id: int = 1,
        copying: bool = False,
        strength: str = "absolute",
        gradient_checkpointing: bool = False,
    ) -> None:
        super().__init__(
            source_vocabulary_size,
            target_vocabulary_size,
            embedding_size=size,
            output_size=size,
            embedding_scale=size**0.5,
            output_bias=False,
            tie_embeddings=tie_embeddings,
            output_mapping=output_mapping,
            dropout=dropout,
            pad_id=pad_id,
            unk_id=unk_id,
            copying=copying,
        )
        self.max_length = max_length
        self.gradient_checkpointing = gradient_checkpointing
        kind = choose("positions", positions, POSITIONS)
        self.source_positions = kind(size, heads, max_length)
        self.target_positions = kind(size, heads, max_length)
        cross_mapping = with_strength(cross_mapping, strength)
        encoder_mapping = with_strength(encoder_mapping or Softmax(), strength)
        decoder_mapping = with_strength(decoder_mapping or Softmax(), strength)
        self.encoder = nn.ModuleList(
            EncoderLayer(
                size,
                feedforward_size,
                heads,
                mapping=encoder_mapping,
                norm=norm,
                activation=activation,
                dropout=dropout,
                attention_dropout=attention_dropout,
            )
            for _ in range(encoder_layers)
        )
        self.decoder = nn.ModuleList(
            DecoderLayer(
                size,
                feedforward_size,
                heads,
                mapping=decoder_mapping,
                cross_mapping=cross_mapping,
                norm=norm,
                activation=activation,
                dropout=dropout,
                attention_dropout=attention_dropout,
            )
            for _ in range(decoder_layers)
        )
        final = FINAL_NORMS[norm]
        self.encoder_norm, self.decoder_norm = final(size), final(size)

    def forward(
        self,
        source: Tensor,
        source_lengths: Tensor,
        target_input: Tensor,
        *,
        return_attention: bool = False,
        return_logits: bool = True,
    ) -> Output:
        """See the base class."""
        mask = source_mask(source, source_lengths)[:, None, None]
        memory = self._encode(source, mask)
        embedded = self.target_embedding(self._embeddable(target_input))
        embedded = x = self.dropout(self.target_positions.add(embedded))
        attention = []
        for number, (layer, attended) in enumerate(
            zip(self.decoder, self._attended(memory), strict=True)
        ):
            x, weights = self._computed(
                layer,
                x,
                attended,
                mask,
                self.target_positions,
                return_weights=return_attention or self._copies_by(number),
            )
            attention.append(weights)
        copied = self._copy_source(source, memory)
        by = attention[-1].mean(1) if copied else None
        logits = self._predicted(self.decoder_norm(x), by, embedded, copied, return_logits)
        return Output(logits, torch.stack(attention, dim=1) if return_attention else None)

    def start(self, source: Tensor, source_lengths: Tensor) -> State:
        """See the base class. The state holds each layer's keys and values of the source."""
        mask = source_mask(source, source_lengths)[:, None, None]
        memory = self._encode(source, mask)
        attended = self._attended(memory)
        return State(
            # Contiguous, because every step that computes weights explicitly would copy them.
            source=(
                mask,
                *(tensor.contiguous() for pair in attended for tensor in pair),
                *self._copy_source(source, memory),
            ),
            past=(),
            history=History.empty(attended),
        )

    def step(self, state: State, token: Tensor, *, return_attention: bool = False) -> Step:
        """See the base class. This adds one position to the history of self-attention."""
        assert state.history is not None
        mask, *memory = state.source
        copied = state.source[1 + 2 * len(self.decoder) :]
        embedded = self.target_embedding(self._embeddable(token[:, None]))
        x = self.target_positions.add(embedded, offset=state.history.length)
        embedded = x = self.dropout(x).view(-1, state.width, x.size(-1))
        history = state.history.advance(state.width)
        attention = []
        for number, layer in enumerate(self.decoder):
            x, weights = layer(
                x,
                KeysValues(*memory[2 * number : 2 * number + 2]),
                mask,
                self.target_positions,
                history,
                number,
                return_weights=return_attention or self._copies_by(number),
            )
            attention.append(weights)
        by = attention[-1].mean(1) if copied else None
        logits = self._logits(self.decoder_norm(x), by, embedded, copied).flatten(0, 1)
        state = replace(state, history=history)
        return Step(logits, state, _by_row(attention) if return_attention else None)

    def attention_mappings(self) -> dict[str, list[Mapping]]:
        """See the base class."""
        encoder = [cast(EncoderLayer, layer) for layer in self.encoder]
        decoder = [cast(DecoderLayer, layer) for layer in self.decoder]
        return {
            "cross": [layer.cross_attention.mapping for layer in decoder],
            "encoder": [layer.attention.mapping for layer in encoder],
            "decoder": [layer.attention.mapping for layer in decoder],
        }

    def parts(self) -> dict[str, list[nn.Module]]:
        """See the base class; `attention` is the decoder's attention to the source."""
        parts = super().parts()
        norms = {side: parts.pop(f"{side}_norm", []) for side in ("encoder", "decoder")}
        positions = parts.pop("source_positions", []) + parts.pop("target_positions", [])
        return {
            **parts,
            **{side: parts[side] + norm for side, norm in norms.items()},
            "embeddings": parts["embeddings"] + positions,
            "attention": [cast(DecoderLayer, layer).cross_attention for layer in self.decoder],
        }

    def _copies_by(self, layer: int) -> bool:
        """Return True if copying uses the weights of this layer's cross-attention."""
        return self.copying and layer == len(self.decoder) - 1

    def _attended(self, memory: Tensor) -> list[KeysValues]:
        """Return each decoder layer's keys and values of the source."""
        layers = (cast(DecoderLayer, layer) for layer in self.decoder)
        return [layer.keys_values(memory) for layer in layers]

    def _computed(self, layer: nn.Module, *arguments: Any, **options: Any) -> Any:
        """Return the output of a layer, with gradient checkpointing if it is on."""
        if self.gradient_checkpointing and self.training and torch.is_grad_enabled():
            return checkpoint(layer, *arguments, use_reentrant=False, **options)
        return layer(*arguments, **options)

    def _encode(self, source: Tensor, mask: Tensor) -> Tensor:
        """Encode ``[batch, source_length]`` ids to ``[batch, source_length, size]``."""
        embedded = self.source_embedding(self._embeddable(source))
        x = self.dropout(self.source_positions.add(embedded))
        for layer in self.encoder:
            x = self._computed(layer, x, mask, self.source_positions)
        return self.encoder_norm(x)


def _by_row(weights: list[Tensor]) -> Tensor:
    """Stack the layers' ``[sentences, head, width, source_length]``, one row per hypothesis.

    The result is ``[sentences · width, layer, head, 1, source_length]``.
    """
    return torch.stack(weights, dim=1).permute(0, 3, 1, 2, 4).flatten(0, 1).unsqueeze(-2)
