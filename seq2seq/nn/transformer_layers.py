"""The encoder and decoder layers of the Transformer."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from seq2seq.mappings import Mapping
from seq2seq.nn.choice import choose
from seq2seq.nn.dropout import Dropout
from seq2seq.nn.history import History
from seq2seq.nn.linear import Linear
from seq2seq.nn.multi_head_attention import KeysValues, MultiHeadAttention
from seq2seq.nn.positions import Positions

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu}


class PreNorm(nn.Module):
    """The residual connection ``x + dropout(f(norm(x)))``, which trains without warm-up."""

    def __init__(self, size: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size)
        self.dropout = Dropout(dropout)

    def enter(self, x: Tensor) -> Tensor:
        """Return the input of the sublayer f."""
        return self.norm(x)

    def leave(self, x: Tensor, change: Tensor) -> Tensor:
        """Return the output of the connection; ``change`` is the output of the sublayer."""
        return x + self.dropout(change)


class PostNorm(PreNorm):
    """The residual connection ``norm(x + dropout(f(x)))`` of the original Transformer."""

    def enter(self, x: Tensor) -> Tensor:
        """Return the input of the sublayer f."""
        return x

    def leave(self, x: Tensor, change: Tensor) -> Tensor:
        """Return the output of the connection; ``change`` is the output of the sublayer."""
        return self.norm(x + self.dropout(change))


NORMS: dict[str, type[PreNorm]] = {"pre": PreNorm, "post": PostNorm}


class FeedForward(nn.Module):
    """The feed-forward network ``W₂ dropout(activation(W₁ x + b₁)) + b₂`` at every position."""

    def __init__(self, size: int, feedforward_size: int, activation: str, dropout: float) -> None:
        super().__init__()
        self.activation = choose("activation", activation, ACTIVATIONS)
        self.inner = Linear(size, feedforward_size)
        self.outer = Linear(feedforward_size, size)
        self.dropout = Dropout(dropout)
        for linear in (self.inner, self.outer):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the network to ``[batch, length, size]``; the shape stays the same."""
        return self.outer(self.dropout(self.activation(self.inner(x))))


class EncoderLayer(nn.Module):
    """An encoder layer: self-attention over the source, then the feed-forward network.

    Args:
        size: width of input and output.
        feedforward_size: width of the hidden layer of the feed-forward network.
        heads: number of attention heads; it must divide ``size``.
        mapping: scores → weights of the attention.
        norm: ``pre`` or ``post``.
        activation: ``relu`` or ``gelu``.
        dropout: dropout probability inside the feed-forward network and before residual sums.
        attention_dropout: dropout probability of attention weights.
    """

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
        """Encode ``x`` ``[batch, source_length, size]``; the shape stays the same.

        ``mask`` is ``[batch, 1, 1, source_length]``, True where a position may be attended to.
        ``positions`` rotates queries and keys.
        """
        queries, attended = self.attention.queries_keys_values(self.attention_residual.enter(x))
        attended = KeysValues(positions.rotate(attended.keys), attended.values)
        change, _ = self.attention(positions.rotate(queries), attended, mask)
        x = self.attention_residual.leave(x, change)
        change = self.feedforward(self.feedforward_residual.enter(x))
        return self.feedforward_residual.leave(x, change)


class DecoderLayer(nn.Module):
    """A decoder layer: causal self-attention, cross-attention, then the feed-forward network.

    The arguments are those of :class:`EncoderLayer`, and ``cross_mapping``, the mapping of the
    attention to the source.
    """

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

    def keys_values(self, memory: Tensor) -> KeysValues:
        """Project the source ``[batch, source_length, size]`` for the cross-attention."""
        return self.cross_attention.keys_values(memory)

    def forward(
        self,
        x: Tensor,
        memory: KeysValues,
        mask: Tensor,
        positions: Positions,
        past: History | None = None,
        layer: int = 0,
        *,
        return_weights: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Decode all target positions at once or, with ``past``, one position per hypothesis.

        Args:
            x: ``[sentences, target_length, size]``. With ``past``, ``[sentences, width, size]``:
                one position of each hypothesis. The hypotheses of a sentence then attend to the
                source as if they were its target positions.
            memory: this layer's keys and values of the source.
            mask: ``[sentences, 1, 1, source_length]``, True where a position may be attended to.
            positions: rotates queries and keys.
            past: the history of self-attention, in which ``advance`` has added this position.
            layer: the index of this layer in ``past``.
            return_weights: whether to return the weights of the cross-attention.

        Returns:
            the output in the shape of ``x``, and the weights ``[sentences, head, target_length,
            source_length]`` or ``None``.
        """
        queries, attended = self.attention.queries_keys_values(self.attention_residual.enter(x))
        if past is None:
            attended = KeysValues(positions.rotate(attended.keys), attended.values)
            change, _ = self.attention(positions.rotate(queries), attended, causal=True)
        else:
            queries, keys = (
                positions.rotate(side.unsqueeze(-2), past.length - 1).squeeze(-2)
                for side in (queries, attended.keys)
            )
            attended = past.write(layer, KeysValues(keys, attended.values))
            change, _ = self.attention(queries, attended, past.mask())
        x = self.attention_residual.leave(x, change)

        change, weights = self.cross_attention(
            self.cross_attention.queries(self.cross_residual.enter(x)),
            memory,
            mask,
            return_weights=return_weights,
        )
        x = self.cross_residual.leave(x, change)

        change = self.feedforward(self.feedforward_residual.enter(x))
        return self.feedforward_residual.leave(x, change), weights
