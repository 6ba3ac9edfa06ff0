"""Decomposable attention (Parikh et al. 2016), with a choice of mapping in each direction."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seq2seq.mappings import Mapping
from seq2seq.models.attending import with_strength
from seq2seq.models.encoder_decoder import source_mask
from seq2seq.models.pair_classifier import (
    Classification,
    PairClassifier,
    classifying_layer,
    zero_beyond,
)
from seq2seq.nn.dropout import Dropout
from seq2seq.nn.intra_attention import IntraAttention


class DecomposableAttention(PairClassifier):
    r"""A classifier in which the words of each sentence attend to the words of the other one.

    The model does not know the order of the words. With the projected word vectors a of the
    premise and b of the hypothesis, it computes::

        attend      e_ij = ⟨F(a_i), F(b_j)⟩
                    α_j = Σ_i Π(e_·j)_i a_i       hypothesis word j attends to the premise
                    β_i = Σ_j Π'(e_i·)_j b_j      premise word i attends to the hypothesis
        compare     u_i = G([a_i; β_i]),  v_j = G([b_j; α_j])
        aggregate   H([Σ_i u_i; Σ_j v_j]), then a linear layer to the classes

    F, G and H have two layers with ReLU each. The end-of-sentence token takes the place of the
    paper's NULL token.

    With ``differences``, G reads ``[a; β; a − β; a ∘ β]`` (Chen et al. 2017), so that the model
    need not learn for each word when two words are equal.

    With ``intra_mapping``, each word also attends to its own sentence first. A learned bias for
    each distance is added to these scores (``nn.intra_attention``).

    Args:
        source_vocabulary_size: number of entries of the vocabulary.
        target_vocabulary_size: the same number, because both sentences share the vocabulary.
        labels: names of the classes.
        mapping: Π, scores → weights from the hypothesis to the premise.
        reverse_mapping: Π', scores → weights from the premise to the hypothesis.
        intra_mapping: scores → weights within each sentence; ``None`` disables this attention.
        differences: whether to compare words with their contexts by difference and product too.
        embedding_size: width of the word vectors.
        hidden_size: width of the projected word vectors, and of F, G and H.
        dropout: dropout probability of word vectors, and before each layer of F, G and H.
        freeze_embeddings: whether to leave the word vectors unchanged in training.
        output_mapping: scores of classes → probabilities; softmax by default.
        pad_id: the id of padding.
        strength: the unit of γ in all attention. ``absolute``: γ as in the literature.
            ``relative``: γ in units of the strength at which the mapping is comparable to softmax.

    Raises:
        ValueError: if a mapping carries bounds from step to step; here all words attend at once.
    """

    def __init__(
        self,
        source_vocabulary_size: int,
        target_vocabulary_size: int,
        labels: Sequence[str],
        *,
        mapping: Mapping,
        reverse_mapping: Mapping,
        intra_mapping: Mapping | None = None,
        differences: bool = False,
        embedding_size: int = 300,
        hidden_size: int = 200,
        dropout: float = 0.2,
        freeze_embeddings: bool = False,
        output_mapping: Mapping | None = None,
        pad_id: int = 0,
        strength: str = "absolute",
    ) -> None:
        super().__init__(
            source_vocabulary_size,
            target_vocabulary_size,
            labels,
            embedding_size=embedding_size,
            projection_size=hidden_size,
            freeze_embeddings=freeze_embeddings,
            dropout=dropout,
            output_mapping=output_mapping,
            pad_id=pad_id,
        )
        for option, chosen in (("mapping", mapping), ("reverse_mapping", reverse_mapping)):
            if chosen.stateful:
                raise ValueError(
                    f"{option}={type(chosen).__name__} bounds the sum of attention over steps, but "
                    "this model has no steps; choose another mapping, or use model=recurrent"
                )
        self.intra = None
        width = hidden_size
        if intra_mapping is not None:
            intra_mapping = with_strength(intra_mapping, strength)
            self.intra = IntraAttention(hidden_size, intra_mapping, dropout)
            width = 2 * hidden_size
        self.mapping = with_strength(mapping, strength).for_layer()
        self.reverse_mapping = with_strength(reverse_mapping, strength).for_layer()
        self.attend = two_layers(width, hidden_size, dropout)
        self.compare = two_layers((4 if differences else 2) * width, hidden_size, dropout)
        self.differences = differences
        self.aggregate = two_layers(2 * hidden_size, hidden_size, dropout)
        self.output = classifying_layer(hidden_size, len(self.labels))

    def forward(
        self,
        premise: Tensor,
        premise_lengths: Tensor,
        hypothesis: Tensor,
        hypothesis_lengths: Tensor,
        *,
        return_attention: bool = False,
    ) -> Classification:
        """See the base class; every word of the hypothesis is one query of the attention."""
        premise_mask = source_mask(premise, premise_lengths)[:, None]
        hypothesis_mask = source_mask(hypothesis, hypothesis_lengths)[:, None]
        a = self._words(premise, premise_mask)
        b = self._words(hypothesis, hypothesis_mask)
        scores = self.attend(b) @ self.attend(a).transpose(1, 2)  # e_ij at [j, i]
        cross = self.mapping(scores, premise_mask)
        reverse = self.reverse_mapping(scores.transpose(1, 2), hypothesis_mask)
        u, v = self._compared(a, reverse @ b), self._compared(b, cross @ a)
        sums = [zero_beyond(u, premise_lengths).sum(1), zero_beyond(v, hypothesis_lengths).sum(1)]
        logits = self.output(self.aggregate(torch.cat(sums, dim=-1)))
        if not return_attention:
            return Classification(logits, None)
        return Classification(logits, cross[:, None, None], reverse[:, None, None])

    def attention_mappings(self) -> dict[str, list[Mapping]]:
        """Return ``cross`` (hypothesis to premise), ``reverse`` and, if used, ``intra``."""
        mappings = {"cross": [self.mapping], "reverse": [self.reverse_mapping]}
        return mappings if self.intra is None else {**mappings, "intra": [self.intra.mapping]}

    def _compared(self, words: Tensor, contexts: Tensor) -> Tensor:
        """Apply G to words and their contexts, to get ``[batch, length, hidden_size]``."""
        parts = [words, contexts]
        if self.differences:
            parts += [words - contexts, words * contexts]
        return self.compare(torch.cat(parts, dim=-1))

    def _words(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Embed ``[batch, length]`` ids as ``[batch, length, width]``."""
        words = self.embedding(tokens)
        return words if self.intra is None else self.intra(words, mask)


def two_layers(input_size: int, size: int, dropout: float) -> nn.Sequential:
    """Return the network ``ReLU(W₂ ReLU(W₁ x + b₁) + b₂)``, with dropout before each layer."""
    first, second = nn.Linear(input_size, size), nn.Linear(size, size)
    for layer in (first, second):
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(Dropout(dropout), first, nn.ReLU(), Dropout(dropout), second, nn.ReLU())
