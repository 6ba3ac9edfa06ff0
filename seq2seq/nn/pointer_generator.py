"""Copying from the source: the pointer-generator of See, Liu & Manning (2017)."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seq2seq.mappings import Mapping
from seq2seq.nn.copy_mixture import at, log_mixture


class CopySource(NamedTuple):
    """The tensors that copying needs of a source, computed once per sentence.

    Attributes:
        ids: ``[batch, source_length]``; V + k is the k-th word of the sentence that is not in the
            vocabulary.
        first: ``[batch, source_length]``, the position where the same word first occurs.
        extra: ``[batch, extra]``, the position where the word V + k first occurs;
            ``source_length`` if it does not occur.
        gate: ``[batch, source_length]``, ``⟨w_c, m_i⟩``.
    """

    ids: Tensor
    first: Tensor
    extra: Tensor
    gate: Tensor


class PointerGenerator(nn.Module):
    r"""A mixture of the distribution over the vocabulary and of the attention to source words.

    ``p(w) = p_gen · P_vocab(w) + (1 − p_gen) · Σ_{i: x_i = w} a_i``, with
    ``p_gen = σ(⟨w_c, Σ_i a_i m_i⟩ + ⟨w_h, h⟩ + ⟨w_x, x⟩ + b)``. Here m are the encoder's outputs, h
    is the input of the output layer, and x is the input of the decoder.

    A word whose attention is exactly 0 is not copied. With a sparse attention mapping, p(w) is
    therefore 0 for words outside the vocabulary that are not attended to. The model can also copy
    the eos of the source, which ends the target.

    The layer computes with logarithms, so that the probabilities of words of the vocabulary do not
    underflow to 0, where they would have no gradient.

    Args:
        memory_size: width of the encoder's outputs.
        state_size: width of h.
        input_size: width of x.
        vocabulary_size: V, the size of the vocabulary of both sides.
        mapping: logits → P_vocab; it must be a softmax.

    Raises:
        ValueError: if ``mapping`` is not a softmax. The loss of the mixture is its negative
            log-likelihood, which has no gradient where P_vocab is 0.
    """

    def __init__(
        self,
        memory_size: int,
        state_size: int,
        input_size: int,
        vocabulary_size: int,
        mapping: Mapping,
    ) -> None:
        super().__init__()
        if not mapping.is_softmax:
            raise ValueError(
                f"output_mapping={type(mapping).__name__} cannot be combined with copying=true, "
                "because the loss has no gradient where a sparse output layer gives the "
                "probability 0; set attention@model.output_mapping=softmax (the mapping of "
                "attention may be sparse)"
            )
        self.vocabulary_size = vocabulary_size
        self.mapping = mapping
        self.context = nn.Linear(memory_size, 1, bias=False)
        self.state = nn.Linear(state_size, 1)
        self.input = nn.Linear(input_size, 1, bias=False)
        for part in (self.context, self.state, self.input):
            nn.init.xavier_uniform_(part.weight)
        nn.init.zeros_(self.state.bias)

    def prepare(self, source: Tensor, memory: Tensor) -> CopySource:
        """Prepare the ids ``[batch, source_length]`` and the encoder's outputs for copying."""
        first = (source[:, :, None] == source[:, None, :]).view(torch.uint8).argmax(-1)
        words = source - self.vocabulary_size  # negative for words in the vocabulary
        extra = torch.full(
            (source.size(0), max(0, int(words.max()) + 1) if source.numel() else 0),
            source.size(1),
            device=source.device,
        )
        if extra.size(1):
            row, place = (words >= 0).nonzero(as_tuple=True)
            extra[row, words[row, place]] = first[row, place]
        return CopySource(source, first, extra, self.context(memory).squeeze(-1))

    def forward(
        self, logits: Tensor, weights: Tensor, state: Tensor, embedded: Tensor, source: CopySource
    ) -> Tensor:
        """Compute the log-probabilities of the mixture, in float32 or float64.

        They are −inf for words outside the vocabulary that are not attended to, or do not occur in
        the sentence.

        Args:
            logits: ``[batch, target_length, V]``.
            weights: attention, ``[batch, target_length, source_length]``; rows sum to 1.
            state: h, ``[batch, target_length, state_size]``.
            embedded: x, ``[batch, target_length, input_size]``.
            source: the result of ``prepare``. In a search, target positions are hypotheses.

        Returns:
            ``[batch, target_length, V + extra]``, where extra is the largest number of words
            outside the vocabulary in a sentence.
        """
        exact = torch.promote_types(logits.dtype, torch.float32)
        if weights.dtype != exact:  # rows in half precision do not sum to 1 exactly
            weights = weights.to(exact)
            weights = weights / weights.sum(-1, keepdim=True).clamp(min=torch.finfo(exact).tiny)
        gate = (self.state(state) + self.input(embedded)).squeeze(-1).to(exact)
        gate = gate + (weights * source.gate[:, None].to(exact)).sum(-1)
        copied = _copied(weights, source.first, F.logsigmoid(-gate))
        if isinstance(self.mapping.gamma, Tensor) or self.mapping.gamma != 1.0:
            logits = logits.to(exact) / self.mapping.gamma
        return log_mixture(logits, F.logsigmoid(gate), copied, source.ids, source.extra)


def _copied(weights: Tensor, first: Tensor, log_share: Tensor) -> Tensor:
    """Compute the log-probability of copying each word, at the position of its first occurrence.

    The result is ``[batch, target_length, source_length + 1]``. It is −inf at other positions, and
    in the last column, which stands for words that do not occur.
    """
    mass = weights.new_zeros(*weights.shape[:2], weights.size(2) + 1)
    mass = mass.scatter_add(-1, at(first, weights), weights)
    none = mass <= 0
    return (mass.masked_fill(none, 1.0).log() + log_share[..., None]).masked_fill(none, -torch.inf)
