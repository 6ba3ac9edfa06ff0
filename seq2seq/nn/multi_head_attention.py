"""Multi-head attention (Vaswani et al. 2017) with a choice of mapping from scores to weights."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seq2seq.mappings import Mapping
from seq2seq.mappings.domain import GAMMA
from seq2seq.nn.blockwise_attention import blockwise_alpha
from seq2seq.nn.linear import Linear, linear


class KeysValues(NamedTuple):
    """The keys and values of an attention, each ``[batch, head, length, head_size]``."""

    keys: Tensor
    values: Tensor


class MultiHeadAttention(nn.Module):
    r"""Multi-head attention: ``Π(q Kᵀ / √head_size) V`` for each head, concatenated and projected.

    Two cases never store the matrix of weights, unless the caller requests the weights:

    - softmax uses ``scaled_dot_product_attention``. Its ``scale`` contains γ; if γ is a tensor, the
      queries are divided by it instead.
    - sparsemax and entmax of long sequences on CUDA work in blocks (``nn.blockwise_attention``).

    All other mappings compute the weights from the matrix of scores. Parameters that the mapping
    learns are not shared with other layers.

    Args:
        size: width of the inputs and of the result.
        heads: number of heads; it must divide ``size``.
        mapping: scores → weights.
        dropout: dropout probability of the weights.

    Raises:
        ValueError: if ``heads`` does not divide ``size``, or if the mapping carries bounds from
            step to step.
    """

    def __init__(self, size: int, heads: int, mapping: Mapping, dropout: float = 0.0) -> None:
        super().__init__()
        if size % heads:
            raise ValueError(f"size={size} is not divisible by heads={heads}; change one of them")
        if mapping.stateful:
            raise ValueError(
                f"{type(mapping).__name__} carries bounds from step to step, but a Transformer "
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
        """Initialize each of the four square matrices Xavier-uniformly, and biases with 0."""
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
        """Project ``[batch, length, size]`` to keys and values, once per sentence."""
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
        """Attend with ``queries`` to keys and values.

        Args:
            queries: ``[batch, head, target_length, head_size]``.
            attended: keys and values of length ``source_length``.
            mask: broadcastable to ``[batch, head, target_length, source_length]``; True where a
                query may attend. ``None`` for no mask.
            causal: whether position t may only attend to positions ≤ t.
            return_weights: whether to return the weights.

        Returns:
            ``[batch, target_length, size]``, and the weights ``[batch, head, target_length,
            source_length]`` or ``None``.
        """
        weights = None
        if return_weights:
            context, weights = self._explicit(queries, attended, mask, causal)
        elif self.mapping.is_softmax and self.mapping.dim == -1:
            context = self._fused(queries, attended, mask, causal)
        elif (alpha := self._blockwise_alpha(queries, attended, mask)) is not None:
            context = self._in_blocks(queries, attended, mask, causal, alpha)
        else:
            context, weights = self._explicit(queries, attended, mask, causal)
        output = self.output(context.transpose(1, 2).flatten(2))
        return output, weights if return_weights else None

    def _fused(
        self, queries: Tensor, attended: KeysValues, mask: Tensor | None, causal: bool
    ) -> Tensor:
        gamma = self.mapping.gamma
        if isinstance(gamma, Tensor):  # one γ, or one per head or row, which may need a gradient
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
        if self.dropout and self.training:  # blocks do not store the weights to drop
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
        if self.mapping.is_relative:  # γ differs per query: divide the queries by it
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
        """Split ``[batch, length, parts · size]`` to ``[batch, head, length, head_size]`` each."""
        split = projected.unflatten(-1, (parts, self.heads, self.head_size))
        return split.permute(2, 0, 3, 1, 4).unbind(0)


def _attended_positions(queries: Tensor, keys: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    """Return how many positions each query may attend to, ``[batch or 1, 1, length or 1, 1]``."""
    valid = queries.new_ones(1, 1, 1, keys.size(2), dtype=torch.bool) if mask is None else mask
    if not causal:
        return valid.sum(-1, keepdim=True, dtype=torch.float32)
    return valid.cumsum(-1, dtype=torch.float32).transpose(-1, -2)[:, :, : queries.size(2)]
