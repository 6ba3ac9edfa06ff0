"""Global attention of a recurrent decoder (Luong et al. 2015), with a pluggable mapping."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from seq2seq.mappings import Mapping
from seq2seq.nn.choice import choose
from seq2seq.nn.linear import Linear

#: A Transformer divides scores by √size, as its queries and keys have a mean square near 1. The
#: states of a recurrent model lie within (−1, 1), and their products are this much smaller.
MEAN_SQUARE = 0.25


def score_factor(size: int, scaled: bool) -> float:
    """Return what ``dot`` and ``general`` scores are multiplied by: 1, or 1/(√size · ¼)."""
    return 1 / (size**0.5 * MEAN_SQUARE) if scaled else 1.0


class Dot(nn.Module):
    """``score(q, m) = ⟨q, m⟩``, times ``4/√size`` if ``scaled``."""

    def covered(self, queries: Tensor, keys: Tensor, change: Tensor, coverage: Tensor) -> Tensor:
        """The scores of the keys ``k_i + c_i w``, with the coverage c and ``change`` w ``[size]``.

        ``[batch, target_length, size]``, keys, ``[batch, target_length, source_length]`` → scores
        like the coverage. Here ``⟨q, k_i⟩ + c_i ⟨q, w⟩``.
        """
        return self(queries, keys) + coverage * (self.factor * queries @ change)[..., None]

    def __init__(self, query_size: int, memory_size: int, scaled: bool = False) -> None:
        super().__init__()
        self.factor = score_factor(query_size, scaled)
        if query_size != memory_size:
            raise ValueError(
                f"score=dot needs queries and memory of one size, not {query_size} and "
                f"{memory_size}; use score=general"
            )

    def keys(self, memory: Tensor) -> Tensor:
        """What of the scores depends on the memory alone, computed once a sentence."""
        return memory

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """``[batch, target_length, size]``, keys → ``[batch, target_length, source_length]``."""
        return (self.factor * queries) @ keys.transpose(1, 2)


class General(Dot):
    """``score(q, m) = ⟨q, W m⟩``, times ``4/√size`` if ``scaled``."""

    def __init__(self, query_size: int, memory_size: int, scaled: bool = False) -> None:
        nn.Module.__init__(self)
        self.factor = score_factor(query_size, scaled)
        self.projection = Linear(memory_size, query_size, bias=False)
        nn.init.xavier_uniform_(self.projection.weight)

    def keys(self, memory: Tensor) -> Tensor:
        """``W m``."""
        return self.projection(memory)


class Additive(General):
    """``score(q, m) = ⟨v, tanh(U q + W m + b)⟩`` (Bahdanau et al. 2015); never scaled."""

    def __init__(self, query_size: int, memory_size: int, scaled: bool = False) -> None:
        super().__init__(query_size, memory_size)
        self.query_projection = Linear(query_size, query_size)
        self.vector = Linear(query_size, 1, bias=False)
        nn.init.xavier_uniform_(self.query_projection.weight)
        nn.init.zeros_(self.query_projection.bias)
        nn.init.xavier_uniform_(self.vector.weight)

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """``[batch, target_length, size]``, keys → ``[batch, target_length, source_length]``."""
        hidden = self.query_projection(queries)[:, :, None] + keys[:, None]
        return self.vector(hidden.tanh_()).squeeze(-1)

    def covered(self, queries: Tensor, keys: Tensor, change: Tensor, coverage: Tensor) -> Tensor:
        """``⟨v, tanh(U q + W m + c w + b)⟩``, as See et al. 2017 have it."""
        hidden = self.query_projection(queries)[:, :, None] + keys[:, None]
        return self.vector(torch.tanh(hidden + coverage[..., None] * change)).squeeze(-1)


SCORES: dict[str, type[nn.Module]] = {"dot": Dot, "general": General, "additive": Additive}


class Memory(NamedTuple):
    """A source as the attention reads it.

    ``mask`` ``[batch, 1, source_length]``; ``keys`` and ``values`` ``[batch, source_length, size]``
    each.
    """

    mask: Tensor
    keys: Tensor
    values: Tensor


class LuongAttention(nn.Module):
    r"""Weights ``a = Π(score(h, m))`` and the attentional state ``tanh(W_c Σ a m + W_h h)``.

    That is Luong's ``tanh(W [c; h])``, with ``W = [W_c, W_h]``. Since ``W_c Σ a m = Σ a (W_c m)``,
    the memory is projected once a sentence instead of the context once a target token.

    It is one layer of one head: a mapping that learns ``per`` head learns the same as per layer.

    With coverage, the scores are those of the keys ``k_i + c_i w``: c sums the weights so far, and
    w is learned, from zero. Then each position attends after those before it.

    Args:
        size: width of the queries and of the attentional state.
        memory_size: width of the encoder's outputs.
        mapping: scores → weights.
        score: ``dot``, ``general`` or ``additive``.
        coverage: whether scores read the weights so far.
        scaled: whether scores of ``dot`` and ``general`` are multiplied by ``4/√size``.

    Raises:
        ValueError: for a score that there is not.
    """

    def __init__(
        self,
        size: int,
        memory_size: int,
        mapping: Mapping,
        score: str,
        coverage: bool = False,
        scaled: bool = False,
    ) -> None:
        super().__init__()
        self.coverage = nn.Parameter(torch.zeros(size)) if coverage else None
        self.mapping = mapping.for_layer()
        self.score = choose("score", score, SCORES)(size, memory_size, scaled)
        self.context = Linear(memory_size, size, bias=False)
        self.query = Linear(size, size, bias=False)
        nn.init.xavier_uniform_(self.context.weight)
        nn.init.xavier_uniform_(self.query.weight)

    def prepare(self, memory: Tensor, mask: Tensor) -> Memory:
        """Project the memory ``[batch, source_length, memory_size]``; ``mask`` is 2-D, like ids."""
        return Memory(mask[:, None], self.score.keys(memory), self.context(memory))  # type: ignore[operator]

    def forward(self, queries: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Attend with the decoder's states at all positions, ``[batch, target_length, size]``.

        Returns the attentional states of the same shape and the weights
        ``[batch, target_length, source_length]``.
        """
        weights = self._all_weights(queries, memory)
        return self._attentional(queries, weights, memory), weights

    def start(self, memory: Memory) -> tuple[Tensor, ...]:
        """What is carried from step to step, ``[batch, source_length]`` each.

        That is the coverage, if there is one, and then what the mapping carries.
        """
        return tuple(tensor.squeeze(1) for tensor in self._first(memory))

    def step(
        self, queries: Tensor, memory: Memory, past: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """Attend at one position of each hypothesis, which are rows side by side.

        Takes ``[batch · width, size]`` and what was carried so far; returns the attentional
        states, the weights ``[batch · width, source_length]``, and what is carried from here.
        """
        side = (memory.keys.size(0), -1)  # the hypotheses of a sentence attend like positions
        queries = queries.unflatten(0, side)
        carried = tuple(tensor.unflatten(0, side) for tensor in past)
        weights, carried = self._next_weights(queries, memory, carried)
        attentional = self._attentional(queries, weights, memory)
        after = tuple(tensor.flatten(0, 1) for tensor in carried)
        return attentional.flatten(0, 1), weights.flatten(0, 1), after

    def _all_weights(self, queries: Tensor, memory: Memory) -> Tensor:
        """The weights of all positions: in one call, unless each depends on those before it."""
        if not self.mapping.stateful and self.coverage is None:
            return self.mapping(self.score(queries, memory.keys), memory.mask)
        past = self._first(memory)
        weights = []
        for position in queries.split(1, dim=1):
            row, past = self._next_weights(position, memory, past)
            weights.append(row)
        return torch.cat(weights, dim=1)

    def _first(self, memory: Memory) -> tuple[Tensor, ...]:
        """``start``, ``[batch, 1, source_length]`` each."""
        exact = torch.promote_types(memory.keys.dtype, torch.float32)
        carried = self.mapping.start(memory.mask, exact)
        if self.coverage is None:
            return carried
        return (torch.zeros_like(memory.mask, dtype=exact), *carried)

    def _next_weights(
        self, queries: Tensor, memory: Memory, past: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The weights of queries side by side, each with a past of its own."""
        if self.coverage is None:
            return self.mapping.step(self.score(queries, memory.keys), memory.mask, past)
        coverage, *carried = past
        scores = self.score.covered(queries, memory.keys, self.coverage, coverage)  # type: ignore[operator]
        weights, after = self.mapping.step(scores, memory.mask, tuple(carried))
        return weights, (coverage + weights, *after)

    def _attentional(self, queries: Tensor, weights: Tensor, memory: Memory) -> Tensor:
        context = torch.bmm(weights.to(memory.values.dtype), memory.values)
        return torch.tanh(context + self.query(queries))
