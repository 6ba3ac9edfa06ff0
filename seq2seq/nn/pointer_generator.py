"""Copying from the source: the pointer-generator of See, Liu & Manning 2017."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seq2seq.mappings import Mapping, Softmax
from seq2seq.nn.copy_mixture import at, log_mixture


class CopySource(NamedTuple):
    """A source as it is copied from, made once a sentence.

    Attributes:
        ids: ``[batch, source_length]``; V + k is the k-th word of the sentence that the vocabulary
            lacks.
        first: ``[batch, source_length]``, where the same word first stands.
        extra: ``[batch, extra]``, where the word V + k first stands, or ``source_length``: nowhere.
        gate: ``[batch, source_length]``, ``⟨w_c, m_i⟩``.
    """

    ids: Tensor
    first: Tensor
    extra: Tensor
    gate: Tensor


class PointerGenerator(nn.Module):
    r"""A mixture of the vocabulary's distribution and of the source's words, weighted by attention.

    ``p(w) = p_gen · P_vocab(w) + (1 − p_gen) · Σ_{i: x_i = w} a_i``, with
    ``p_gen = σ(⟨w_c, Σ_i a_i m_i⟩ + ⟨w_h, h⟩ + ⟨w_x, x⟩ + b)`` of the context (m is the encoder's
    output), the state h that the output layer reads, and what the decoder reads, x. Weights of
    exactly zero copy nothing: under a sparse mapping of attention, p(w) is zero for words that the
    vocabulary lacks and that are not attended to. The end of the source is a token like others,
    and copying it ends the target.

    It works with logarithms, ``log p_gen + log softmax(logits)`` and what copying adds to it, so
    that no word of the vocabulary gets too small a probability to learn from.

    Args:
        memory_size: width of the encoder's output.
        state_size: width of h.
        input_size: width of x.
        vocabulary_size: V, of both sides.
        mapping: makes P_vocab of the logits: a softmax.

    Raises:
        ValueError: for another mapping. The mixture has no loss but its negative log-likelihood,
            which teaches nothing where P_vocab is zero.
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
        if not isinstance(mapping, Softmax):
            raise ValueError(
                f"output_mapping={type(mapping).__name__} with copying=true: a mixture is trained "
                "by its negative log-likelihood, which has no gradient where a sparse output layer "
                "gives no probability; set output_mapping to softmax "
                "(attention@model.output_mapping=softmax), attention may be as sparse as you like"
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
        """Read the source ``[batch, source_length]`` and its ``[batch, source_length, size]``."""
        first = (source[:, :, None] == source[:, None, :]).view(torch.uint8).argmax(-1)
        words = source - self.vocabulary_size  # below 0: in the vocabulary
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
        """Log-probabilities of vocabulary and further words, in float32 or float64.

        They are −inf for the words beyond the vocabulary that are not attended to, or are not in
        the sentence.

        Args:
            logits: ``[batch, target_length, V]``.
            weights: ``[batch, target_length, source_length]`` of attention, rows of sum 1.
            state: h, ``[batch, target_length, state_size]``.
            embedded: x, ``[batch, target_length, input_size]``.
            source: from ``prepare``. Hypotheses of a sentence count as its target positions.

        Returns:
            ``[batch, target_length, V + extra]``, extra being the most further words of a sentence.
        """
        exact = torch.promote_types(logits.dtype, torch.float32)
        if weights.dtype != exact:  # rounded to half precision, rows sum to 1 no longer
            weights = weights.to(exact)
            weights = weights / weights.sum(-1, keepdim=True).clamp(min=torch.finfo(exact).tiny)
        gate = (self.state(state) + self.input(embedded)).squeeze(-1).to(exact)
        gate = gate + (weights * source.gate[:, None].to(exact)).sum(-1)
        copied = _copied(weights, source.first, F.logsigmoid(-gate))
        if isinstance(self.mapping.gamma, Tensor) or self.mapping.gamma != 1.0:
            logits = logits.to(exact) / self.mapping.gamma
        return log_mixture(logits, F.logsigmoid(gate), copied, source.ids, source.extra)


def _copied(weights: Tensor, first: Tensor, log_share: Tensor) -> Tensor:
    """The log-probability of copying each word, where it first stands; −inf elsewhere.

    ``[batch, target_length, source_length + 1]``: the last place stands for no place.
    """
    mass = weights.new_zeros(*weights.shape[:2], weights.size(2) + 1)
    mass = mass.scatter_add(-1, at(first, weights), weights)
    none = mass <= 0
    return (mass.masked_fill(none, 1.0).log() + log_share[..., None]).masked_fill(none, -torch.inf)
