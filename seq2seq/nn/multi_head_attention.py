"""Multi-head attention (Vaswani et al. 2017) with a pluggable mapping from scores to weights."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seq2seq.mappings import Mapping, Softmax
from seq2seq.mappings.domain import GAMMA
from seq2seq.nn.blockwise import blockwise_alpha
from seq2seq.nn.linear import Linear, linear


class KeysValues(NamedTuple):
    """What is attended to: keys and values, each ``[batch, head, length, head_size]``."""

    keys: Tensor
    values: Tensor


class MultiHeadAttention(nn.Module):
    r"""For each head, ``Π(q Kᵀ / √head_size) V``; the heads side by side, projected once more.

    With softmax and nobody asking for the weights, ``scaled_dot_product_attention`` does it
    without writing them down (its ``scale`` carries γ, or the queries do where γ is a tensor), and
    so do blocks for sparsemax and entmax of long sequences on CUDA (``blockwise``); any other
    mapping sees the scores. What the mapping learns is this layer's own.

    Args:
        size: width of queries, of what is attended to, and of the result.
        heads: they divide ``size``.
        mapping: scores → weights.
        dropout: on the weights, in training.

    Raises:
        ValueError: if ``heads`` does not divide ``size``, or for a mapping that carries something
            from step to step.
    """

    def __init__(self, size: int, heads: int, mapping: Mapping, dropout: float = 0.0) -> None:
        super().__init__()
        if size % heads:
            raise ValueError(f"size={size} is not divisible by heads={heads}; change one of them")
        if mapping.stateful:
            raise ValueError(
                f"{type(mapping).__name__} carries bounds from step to step, and a Transformer "
                "attends at all positions at once; use it in a recurrent model"
            )
        self.size, self.heads = size, heads
        self.head_size = size // heads
        self.mapping = mapping.for_layer(heads)
        self.dropout = dropout
        self.inputs = Linear(size, 3 * size)  # queries, keys, values: one matrix product
        self.output = Linear(size, size)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier-uniform for each of the four square matrices; biases start at zero."""
        for block in self.inputs.weight.data.chunk(3):
            nn.init.xavier_uniform_(block, gain=2**-0.5)
        nn.init.xavier_uniform_(self.output.weight)
        nn.init.zeros_(self.inputs.bias)
        nn.init.zeros_(self.output.bias)

    def queries_keys_values(self, x: Tensor) -> tuple[Tensor, KeysValues]:
        """Project ``[batch, length, size]`` for self-attention."""
        queries, keys, values = self._heads(self.inputs(x), 3)
        return queries, KeysValues(keys, values)

    def queries(self, x: Tensor) -> Tensor:
        """Project ``[batch, length, size]`` to ``[batch, head, length, head_size]``."""
        weight, bias = self.inputs.weight[: self.size], self.inputs.bias[: self.size]
        return self._heads(linear(x, weight, bias), 1)[0]

    def keys_values(self, memory: Tensor) -> KeysValues:
        """Project what is attended to, ``[batch, length, size]``; once a sentence."""
        weight, bias = self.inputs.weight[self.size :], self.inputs.bias[self.size :]
        return KeysValues(*self._heads(linear(memory, weight, bias), 2))

    def forward(
        self,
        queries: Tensor,
        attended: KeysValues,
        mask: Tensor | None = None,
        *,
        causal: bool = False,
        return_weights: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Attend with ``queries`` ``[batch, head, target_length, head_size]``.

        ``mask`` is broadcastable to ``[batch, head, target_length, source_length]``, True = may be
        attended; ``causal``: position t sees positions ≤ t. Returns ``[batch, target_length,
        size]`` and, if asked for, the weights ``[batch, head, target_length, source_length]``.
        """
        weights = None
        if return_weights:
            context, weights = self._explicit(queries, attended, mask, causal)
        elif self.fusible:
            context = self._fused(queries, attended, mask, causal)
        elif (alpha := self._blockwise_alpha(queries, attended, mask)) is not None:
            context = self._in_blocks(queries, attended, mask, causal, alpha)
        else:
            context, weights = self._explicit(queries, attended, mask, causal)
        output = self.output(context.transpose(1, 2).flatten(2))
        return output, weights if return_weights else None

    @property
    def fusible(self) -> bool:
        """Whether ``scaled_dot_product_attention`` can do it: softmax along the last dimension."""
        return isinstance(self.mapping, Softmax) and self.mapping.dim == -1

    def _fused(
        self, queries: Tensor, attended: KeysValues, mask: Tensor | None, causal: bool
    ) -> Tensor:
        gamma = self.mapping.gamma
        if isinstance(gamma, Tensor):  # one number, or one for each head or row, of any gradient
            queries = (queries / GAMMA.nearest(gamma)).to(queries.dtype)
            gamma = 1.0
        return F.scaled_dot_product_attention(
            queries,
            *attended,
            attn_mask=mask,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=causal,
            scale=self.head_size**-0.5 / gamma,
        )

    def _blockwise_alpha(
        self, queries: Tensor, attended: KeysValues, mask: Tensor | None
    ) -> float | None:
        if self.dropout and self.training:  # drops weights, which blocks do not keep
            return None
        return blockwise_alpha(self.mapping, queries, attended.keys, mask)

    def _in_blocks(
        self,
        queries: Tensor,
        attended: KeysValues,
        mask: Tensor | None,
        causal: bool,
        alpha: float,
    ) -> Tensor:
        from seq2seq.mappings.gpu.attention import sparse_attention  # loads Triton

        gamma = self.mapping.gamma
        if self.mapping.is_relative:  # one number a query: the queries carry it
            count = _attended_positions(queries, attended.keys, mask, causal)
            strength = self.mapping.strength_among((count - 1).clamp(min=1))[1]
            queries, gamma = (queries / strength).to(queries.dtype), 1.0
        gamma = float(gamma)
        return sparse_attention(queries, *attended, mask, alpha=alpha, gamma=gamma, causal=causal)

    def _explicit(
        self, queries: Tensor, attended: KeysValues, mask: Tensor | None, causal: bool
    ) -> tuple[Tensor, Tensor]:
        scores = (queries * self.head_size**-0.5) @ attended.keys.transpose(-2, -1)
        if causal:
            past = scores.new_ones(scores.shape[-2:], dtype=torch.bool).tril()
            mask = past if mask is None else mask & past
        weights = self.mapping(scores, mask)
        return F.dropout(weights, self.dropout, self.training) @ attended.values, weights

    def _heads(self, projected: Tensor, parts: int) -> tuple[Tensor, ...]:
        """``[batch, length, parts · size]`` → parts of ``[batch, head, length, head_size]``."""
        split = projected.unflatten(-1, (parts, self.heads, self.head_size))
        return split.permute(2, 0, 3, 1, 4).unbind(0)


def _attended_positions(queries: Tensor, keys: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    """Return how many positions each query may attend to, ``[batch or 1, 1, length or 1, 1]``."""
    valid = queries.new_ones(1, 1, 1, keys.size(2), dtype=torch.bool) if mask is None else mask
    if not causal:
        return valid.sum(-1, keepdim=True, dtype=torch.float32)
    return valid.cumsum(-1, dtype=torch.float32).transpose(-1, -2)[:, :, : queries.size(2)]
