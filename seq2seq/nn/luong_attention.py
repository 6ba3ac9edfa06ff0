"""Global attention of a recurrent decoder (Luong et al. 2015), with a choice of mapping."""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from seq2seq.mappings import Mapping
from seq2seq.nn.choice import choose
from seq2seq.nn.linear import Linear

#: A Transformer divides scores by √size, because its queries and keys have a mean square near 1.
#: The states of a recurrent model lie within (−1, 1), so their products are smaller by this factor.
MEAN_SQUARE = 0.25


def score_factor(size: int, scaled: bool) -> float:
    """Return the factor of ``dot`` and ``general`` scores: 1, or 4/√size if ``scaled``."""
    return 1 / (size**0.5 * MEAN_SQUARE) if scaled else 1.0


class Score(Protocol):
    """A score of queries and keys, as an ``nn.Module`` with the sizes of query and memory."""

    def keys(self, memory: Tensor) -> Tensor:
        """Compute the part of the scores that depends only on the memory, once per sentence."""
        ...

    def __call__(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Compute the scores, ``[batch, target_length, source_length]``.

        Args:
            queries: ``[batch, target_length, size]``.
            keys: the result of ``keys``.
        """
        ...

    def covered(self, queries: Tensor, keys: Tensor, change: Tensor, coverage: Tensor) -> Tensor:
        """Compute the scores of the keys ``k_i + c_i w``.

        Args:
            queries: ``[batch, target_length, size]``.
            keys: k, the result of ``keys``.
            change: w, ``[size]``.
            coverage: c, ``[batch, target_length, source_length]``.

        Returns:
            scores in the shape of ``coverage``.
        """
        ...


class Product(nn.Module):
    """Base class of the scores ``⟨q, k⟩`` of a query and a key.

    Attributes:
        factor: multiplies the scores; ``4/√size`` if they are scaled.
    """

    def __init__(self, query_size: int, scaled: bool) -> None:
        super().__init__()
        self.factor = score_factor(query_size, scaled)

    def keys(self, memory: Tensor) -> Tensor:
        """See :class:`Score`; the factor is part of the keys."""
        return memory if self.factor == 1.0 else self.factor * memory

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """See :class:`Score`."""
        return queries @ keys.transpose(1, 2)

    def covered(self, queries: Tensor, keys: Tensor, change: Tensor, coverage: Tensor) -> Tensor:
        """See :class:`Score`; here the scores are ``⟨q, k_i⟩ + c_i ⟨q, w⟩``."""
        return self(queries, keys) + coverage * (self.factor * queries @ change)[..., None]


class Dot(Product):
    """The score ``⟨q, m⟩`` of a query q and a memory m, times ``4/√size`` if ``scaled``."""

    def __init__(self, query_size: int, memory_size: int, scaled: bool = False) -> None:
        super().__init__(query_size, scaled)
        if query_size != memory_size:
            raise ValueError(
                f"score=dot needs queries and memory of equal size, not {query_size} and "
                f"{memory_size}; use score=general"
            )


class General(Product):
    """The score ``⟨q, W m⟩``, times ``4/√size`` if ``scaled``."""

    def __init__(self, query_size: int, memory_size: int, scaled: bool = False) -> None:
        super().__init__(query_size, scaled)
        self.projection = Linear(memory_size, query_size, bias=False)
        nn.init.xavier_uniform_(self.projection.weight)

    def keys(self, memory: Tensor) -> Tensor:
        """Compute ``W m``, times the factor of the scores."""
        return super().keys(self.projection(memory))


class Additive(nn.Module):
    """The score ``⟨v, tanh(U q + W m + b)⟩`` (Bahdanau et al. 2015), which is never scaled."""

    def __init__(self, query_size: int, memory_size: int, scaled: bool = False) -> None:
        super().__init__()
        self.projection = Linear(memory_size, query_size, bias=False)
        nn.init.xavier_uniform_(self.projection.weight)
        self.query_projection = Linear(query_size, query_size)
        self.vector = Linear(query_size, 1, bias=False)
        nn.init.xavier_uniform_(self.query_projection.weight)
        nn.init.zeros_(self.query_projection.bias)
        nn.init.xavier_uniform_(self.vector.weight)

    def keys(self, memory: Tensor) -> Tensor:
        """Compute ``W m``."""
        return self.projection(memory)

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """See :class:`Score`."""
        hidden = self.query_projection(queries)[:, :, None] + keys[:, None]
        return self.vector(hidden.tanh_()).squeeze(-1)

    def covered(self, queries: Tensor, keys: Tensor, change: Tensor, coverage: Tensor) -> Tensor:
        """See :class:`Score`; here ``⟨v, tanh(U q + W m + c w + b)⟩`` (See et al. 2017)."""
        hidden = self.query_projection(queries)[:, :, None] + keys[:, None]
        return self.vector(torch.tanh(hidden + coverage[..., None] * change)).squeeze(-1)


SCORES: dict[str, type[nn.Module]] = {"dot": Dot, "general": General, "additive": Additive}


class Memory(NamedTuple):
    """The projected encoder outputs to which the decoder attends.

    ``mask`` is ``[batch, 1, source_length]``; ``keys`` and ``values`` are ``[batch, source_length,
    size]`` each.
    """

    mask: Tensor
    keys: Tensor
    values: Tensor


class LuongAttention(nn.Module):
    r"""Attention with one head, whose result is the attentional state of Luong et al.

    The weights are ``a = Π(score(h, m))`` and the attentional state is ``tanh(W_c Σ a m + W_h h)``.
    This is Luong's ``tanh(W [c; h])`` with ``W = [W_c, W_h]``. Since ``W_c Σ a m = Σ a (W_c m)``,
    the layer projects the memory once per sentence, instead of the context once per target token.

    There is one head, so a mapping that learns ``per`` head learns the same as ``per`` layer.

    With coverage, the scores are those of the keys ``k_i + c_i w``. Here c is the sum of the
    previous weights, and w is learned, starting at 0. The positions then attend one after another.

    Args:
        size: width of the queries and of the attentional state.
        memory_size: width of the encoder's outputs.
        mapping: scores → weights.
        score: ``dot``, ``general`` or ``additive``.
        coverage: whether the scores depend on the sum of the previous weights.
        scaled: whether to multiply the scores of ``dot`` and ``general`` by ``4/√size``.

    Raises:
        ValueError: if ``score`` is unknown.
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
        """Project the memory ``[batch, source_length, memory_size]``.

        ``mask`` is ``[batch, source_length]``, True for tokens and False for padding.
        """
        return Memory(mask[:, None], self.score.keys(memory), self.context(memory))  # type: ignore[operator]

    def forward(self, queries: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Attend with the decoder's states at all positions.

        Args:
            queries: ``[batch, target_length, size]``.
            memory: the result of ``prepare``.

        Returns:
            the attentional states ``[batch, target_length, size]``, and the weights ``[batch,
            target_length, source_length]``.
        """
        weights = self._all_weights(queries, memory)
        return self._attentional(queries, weights, memory), weights

    def start(self, memory: Memory) -> tuple[Tensor, ...]:
        """Return the tensors to pass to the first ``step``, ``[batch, source_length]`` each.

        They are the coverage, if it is used, and then the tensors of a mapping with bounds.
        """
        return tuple(tensor.squeeze(1) for tensor in self._first(memory))

    def step(
        self, queries: Tensor, memory: Memory, past: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """Attend at one position of each hypothesis; the rows of a sentence are consecutive.

        Args:
            queries: ``[batch · width, size]``.
            memory: the result of ``prepare``.
            past: the tensors that ``start`` or the previous ``step`` returned.

        Returns:
            the attentional states ``[batch · width, size]``, the weights ``[batch · width,
            source_length]``, and the tensors to pass to the next ``step``.
        """
        # The hypotheses of a sentence attend to its source like the positions of one target.
        shape = (memory.keys.size(0), -1)
        queries = queries.unflatten(0, shape)
        carried = tuple(tensor.unflatten(0, shape) for tensor in past)
        weights, carried = self._next_weights(queries, memory, carried)
        attentional = self._attentional(queries, weights, memory)
        after = tuple(tensor.flatten(0, 1) for tensor in carried)
        return attentional.flatten(0, 1), weights.flatten(0, 1), after

    def _all_weights(self, queries: Tensor, memory: Memory) -> Tensor:
        """Compute the weights of all positions, in one call unless they depend on each other."""
        if not self.mapping.stateful and self.coverage is None:
            return self.mapping(self.score(queries, memory.keys), memory.mask)
        past = self._first(memory)
        weights = []
        for position in queries.split(1, dim=1):
            row, past = self._next_weights(position, memory, past)
            weights.append(row)
        return torch.cat(weights, dim=1)

    def _first(self, memory: Memory) -> tuple[Tensor, ...]:
        """Return the tensors of ``start`` as ``[batch, 1, source_length]`` each."""
        exact = torch.promote_types(memory.keys.dtype, torch.float32)
        carried = self.mapping.start(memory.mask, exact)
        if self.coverage is None:
            return carried
        return (torch.zeros_like(memory.mask, dtype=exact), *carried)

    def _next_weights(
        self, queries: Tensor, memory: Memory, past: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Compute the weights of queries that each have a past of their own."""
        if self.coverage is None:
            return self.mapping.step(self.score(queries, memory.keys), memory.mask, past)
        coverage, *carried = past
        scores = self.score.covered(queries, memory.keys, self.coverage, coverage)  # type: ignore[operator]
        weights, after = self.mapping.step(scores, memory.mask, tuple(carried))
        return weights, (coverage + weights, *after)

    def _attentional(self, queries: Tensor, weights: Tensor, memory: Memory) -> Tensor:
        context = torch.bmm(weights.to(memory.values.dtype), memory.values)
        return torch.tanh(context + self.query(queries))
