"""The Transformer's encoder and decoder layers."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from seq2seq.mappings import Mapping
from seq2seq.nn.choice import choose
from seq2seq.nn.dropout import Dropout
from seq2seq.nn.multi_head_attention import KeysValues, MultiHeadAttention
from seq2seq.nn.positions import Positions

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu}


class PreNorm(nn.Module):
    """``x + dropout(f(norm(x)))``: trains without warm-up, even when deep."""

    def __init__(self, size: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size)
        self.dropout = Dropout(dropout)

    def enter(self, x: Tensor) -> Tensor:
        """What the sublayer reads."""
        return self.norm(x)

    def leave(self, x: Tensor, change: Tensor) -> Tensor:
        """What goes on, given the sublayer's answer."""
        return x + self.dropout(change)


class PostNorm(PreNorm):
    """``norm(x + dropout(f(x)))``: the original Transformer's."""

    def enter(self, x: Tensor) -> Tensor:
        """What the sublayer reads."""
        return x

    def leave(self, x: Tensor, change: Tensor) -> Tensor:
        """What goes on, given the sublayer's answer."""
        return self.norm(x + self.dropout(change))


NORMS: dict[str, type[PreNorm]] = {"pre": PreNorm, "post": PostNorm}


class FeedForward(nn.Module):
    """``W₂ dropout(activation(W₁ x + b₁)) + b₂`` at every position."""

    def __init__(self, size: int, feedforward_size: int, activation: str, dropout: float) -> None:
        super().__init__()
        self.activation = choose("activation", activation, ACTIVATIONS)
        self.inner = nn.Linear(size, feedforward_size)
        self.outer = nn.Linear(feedforward_size, size)
        self.dropout = Dropout(dropout)
        for linear in (self.inner, self.outer):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, length, size]`` → the same shape."""
        return self.outer(self.dropout(self.activation(self.inner(x))))


class EncoderLayer(nn.Module):
    """Self-attention over the source, then the feed-forward network."""

    def __init__(
        self,
        size: int,
        feedforward_size: int,
        heads: int,
        *,
        mapping: Mapping,
        norm: str,
        activation: str,
        dropout: float,
        attention_dropout: float,
    ) -> None:
        super().__init__()
        residual = choose("norm", norm, NORMS)
        self.attention = MultiHeadAttention(size, heads, mapping, attention_dropout)
        self.feedforward = FeedForward(size, feedforward_size, activation, dropout)
        self.attention_residual = residual(size, dropout)
        self.feedforward_residual = residual(size, dropout)

    def forward(self, x: Tensor, mask: Tensor, positions: Positions) -> Tensor:
        """``x`` ``[batch, source_length, size]``, ``mask`` ``[batch, 1, 1, source_length]``."""
        queries, attended = self.attention.queries_keys_values(self.attention_residual.enter(x))
        attended = KeysValues(positions.rotate(attended.keys), attended.values)
        change, _ = self.attention(positions.rotate(queries), attended, mask)
        x = self.attention_residual.leave(x, change)
        change = self.feedforward(self.feedforward_residual.enter(x))
        return self.feedforward_residual.leave(x, change)


class DecoderLayer(nn.Module):
    """Self-attention over the target so far, cross-attention, then the feed-forward network."""

    def __init__(
        self,
        size: int,
        feedforward_size: int,
        heads: int,
        *,
        mapping: Mapping,
        cross_mapping: Mapping,
        norm: str,
        activation: str,
        dropout: float,
        attention_dropout: float,
    ) -> None:
        super().__init__()
        residual = choose("norm", norm, NORMS)
        self.attention = MultiHeadAttention(size, heads, mapping, attention_dropout)
        self.cross_attention = MultiHeadAttention(size, heads, cross_mapping, attention_dropout)
        self.feedforward = FeedForward(size, feedforward_size, activation, dropout)
        self.attention_residual = residual(size, dropout)
        self.cross_residual = residual(size, dropout)
        self.feedforward_residual = residual(size, dropout)

    def forward(
        self,
        x: Tensor,
        memory: KeysValues,
        mask: Tensor,
        positions: Positions,
        past: KeysValues | None = None,
        *,
        return_weights: bool = False,
    ) -> tuple[Tensor, KeysValues, Tensor | None]:
        """Decode ``x``: all target positions at once, or the one that follows ``past``.

        Args:
            x: ``[batch, target_length, size]``; with ``past``, ``[batch, 1, size]``.
            memory: this layer's keys and values of the source. It may have fewer rows than ``x``
                has: then consecutive hypotheses share a sentence's row and attend to it as if they
                were its target positions.
            mask: ``[sentences, 1, 1, source_length]``.
            positions: rotates queries and keys.
            past: keys and values of the positions decoded before.
            return_weights: whether the cross-attention is wanted.

        Returns:
            the output like ``x``, the grown cache, and the weights ``[sentences, head,
            target_length, source_length]`` or None.
        """
        offset = 0 if past is None else past.keys.size(2)
        queries, attended = self.attention.queries_keys_values(self.attention_residual.enter(x))
        queries = positions.rotate(queries, offset)
        attended = KeysValues(positions.rotate(attended.keys, offset), attended.values)
        if past is not None:
            attended = past.append(attended)
        change, _ = self.attention(queries, attended, causal=past is None)
        x = self.attention_residual.leave(x, change)

        inputs = self.cross_residual.enter(x).reshape(memory.keys.size(0), -1, x.size(-1))
        change, weights = self.cross_attention(
            self.cross_attention.queries(inputs), memory, mask, return_weights=return_weights
        )
        x = self.cross_residual.leave(x, change.reshape(x.shape))

        change = self.feedforward(self.feedforward_residual.enter(x))
        return self.feedforward_residual.leave(x, change), attended, weights
