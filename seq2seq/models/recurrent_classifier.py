"""The entailment model of the paper: the encoded hypothesis attends to the encoded premise."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seq2seq.mappings import Mapping
from seq2seq.models.attending import STRENGTHS, with_strength
from seq2seq.models.encoder_decoder import source_mask
from seq2seq.models.pair_classifier import Classification, PairClassifier, classifying_layer
from seq2seq.nn.cells import CELLS
from seq2seq.nn.choice import choose
from seq2seq.nn.dropout import Dropout
from seq2seq.nn.luong_attention import LuongAttention
from seq2seq.nn.recurrent_encoder import RecurrentEncoder


class RecurrentClassifier(PairClassifier):
    r"""A classifier in which the last state h of the hypothesis attends to the premise states m.

    The weights are ``a = Π(score(h, m))`` and the context is ``c = Σ a m``. The scores of the
    classes are ``V h* + b`` with ``h* = tanh(W_c c + W_h h)``. With ``differences``, the last layer
    reads ``[h*; |c − h|; c ∘ h]`` instead of h* (Mou et al. 2016).

    The attention and the last layer are those of Rocktäschel et al. (2016, section 2.3) with
    ``score=additive``. The GRU, the projected word vectors and the choice of Π come from Niculae &
    Blondel (2017).

    Args:
        source_vocabulary_size: number of entries of the vocabulary.
        target_vocabulary_size: the same number, because both sentences share the vocabulary.
        labels: names of the classes.
        mapping: scores → weights of the attention.
        embedding_size: width of the word vectors.
        hidden_size: width of the projected word vectors and of the states. In a bidirectional
            encoder, each direction has half of the states.
        layers: number of layers of each encoder.
        cell: ``gru`` or ``lstm``.
        bidirectional: whether the encoders read the sentences in both directions.
        conditional: whether the hypothesis encoder starts in the last state of the premise, as in
            Rocktäschel et al. Attention is then not the only connection between the two.
        shared: whether one encoder reads both sentences.
        score: ``dot``, ``general`` or ``additive``.
        differences: whether to compare context and query by difference and product too.
        dropout: dropout probability of word vectors, between layers, and before the last layer.
        freeze_embeddings: whether to leave the word vectors unchanged in training.
        output_mapping: scores of classes → probabilities; softmax by default.
        pad_id: the id of padding.
        strength: the unit of γ in the attention. ``absolute``: γ as in the literature.
            ``relative``: γ in units of the strength at which the mapping is comparable to softmax;
            ``dot`` and ``general`` scores are also multiplied by ``4/√hidden_size``.
    """

    def __init__(
        self,
        source_vocabulary_size: int,
        target_vocabulary_size: int,
        labels: Sequence[str],
        *,
        mapping: Mapping,
        embedding_size: int = 300,
        hidden_size: int = 200,
        layers: int = 1,
        cell: str = "gru",
        bidirectional: bool = False,
        conditional: bool = False,
        shared: bool = False,
        score: str = "general",
        differences: bool = False,
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
        kind = choose("cell", cell, CELLS)

        def encoder() -> RecurrentEncoder:
            return RecurrentEncoder(hidden_size, hidden_size, layers, kind, bidirectional, dropout)

        self.premise_encoder = encoder()
        self.hypothesis_encoder = self.premise_encoder if shared else encoder()
        self.conditional = conditional
        self.hidden_size = hidden_size
        mapping = with_strength(mapping, strength)
        self.attention = LuongAttention(
            hidden_size, hidden_size, mapping, score, scaled=STRENGTHS[strength]
        )
        self.dropout = Dropout(dropout)
        self.differences = differences
        self.output = classifying_layer((3 if differences else 1) * hidden_size, len(self.labels))

    def forward(
        self,
        premise: Tensor,
        premise_lengths: Tensor,
        hypothesis: Tensor,
        hypothesis_lengths: Tensor,
        *,
        return_attention: bool = False,
    ) -> Classification:
        """See the base class; the attention has one query, the whole hypothesis."""
        states, last = self.premise_encoder(self.embedding(premise), premise_lengths)
        _, final = self.hypothesis_encoder(
            self.embedding(hypothesis), hypothesis_lengths, last if self.conditional else None
        )
        memory = self.attention.prepare(states, source_mask(premise, premise_lengths))
        query = final[0][:, None, -self.hidden_size :]  # the last layer, all directions
        joined, weights = self.attention(query, memory)
        if self.differences:
            context = weights.to(states.dtype) @ states
            joined = torch.cat([joined, (context - query).abs(), context * query], dim=-1)
        logits = self.output(self.dropout(joined.squeeze(1)))
        return Classification(logits, weights[:, None, None] if return_attention else None)

    def attention_mappings(self) -> dict[str, list[Mapping]]:
        """Return ``cross``, the mapping of the attention from the hypothesis to the premise."""
        return {"cross": [self.attention.mapping]}

    def parts(self) -> dict[str, list[nn.Module]]:
        """See the base class; `encoder` contains the encoders of both sentences."""
        return {**super().parts(), "encoder": [self.premise_encoder, self.hypothesis_encoder]}
