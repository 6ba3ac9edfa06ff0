"""The entailment model of the paper: recurrent encoders, the hypothesis looks at the premise."""

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
    r"""The last state h of the hypothesis looks at the states m of the premise once.

    With weights ``a = Π(score(h, m))`` over the premise, the classes are scored by ``V h* + b`` of
    ``h* = tanh(W_c Σ a m + W_h h)``: attention and last layer of Rocktäschel et al. (2016, section
    2.3, with score=additive), the GRU and the plug Π of Niculae & Blondel (2017), who encode both
    sentences over a linear projection of the word vectors. With ``differences``, what is scored is
    ``[h*; |c − h|; c ∘ h]`` of the context ``c = Σ a m``, as in Mou et al. (2016).

    Args:
        source_vocabulary_size: entries of the vocabulary.
        target_vocabulary_size: the same number: premise and hypothesis share it.
        labels: names of the classes.
        mapping: scores → weights of the attention.
        embedding_size: width of the word vectors.
        hidden_size: width of their projection and of the states; two directions have half each.
        layers: depth of each encoder.
        cell: ``gru`` or ``lstm``.
        bidirectional: whether the encoders read both ways.
        conditional: whether the reading of the hypothesis begins in the last state of the premise,
            as in Rocktäschel et al.; then attention is not the only way between the two.
        shared: whether one encoder reads both sentences.
        score: ``dot``, ``general`` or ``additive``.
        differences: whether context and query are compared by difference and product too.
        dropout: on word vectors, between layers, and on what is scored.
        freeze_embeddings: whether the word vectors stay as they are.
        output_mapping: scores of classes → probabilities; softmax by default.
        pad_id: the id of padding.
        strength: of attention. ``absolute``: γ as in the literature, scores as they are.
            ``relative``: γ in units of the strength that compares with softmax's, ``dot`` and
            ``general`` scores multiplied by ``4/√hidden_size``.
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
        """See the base class; the attention has one row, that of the whole hypothesis."""
        states, last = self.premise_encoder(self.embedding(premise), premise_lengths)
        _, final = self.hypothesis_encoder(
            self.embedding(hypothesis), hypothesis_lengths, last if self.conditional else None
        )
        memory = self.attention.prepare(states, source_mask(premise, premise_lengths))
        query = final[0][:, None, -self.hidden_size :]  # of the last layer, both directions
        joined, weights = self.attention(query, memory)
        if self.differences:
            context = weights.to(states.dtype) @ states
            joined = torch.cat([joined, (context - query).abs(), context * query], dim=-1)
        logits = self.output(self.dropout(joined.squeeze(1)))
        return Classification(logits, weights[:, None, None] if return_attention else None)

    def attention_mappings(self) -> dict[str, list[Mapping]]:
        """``cross``: from the hypothesis to the premise."""
        return {"cross": [self.attention.mapping]}

    def parts(self) -> dict[str, list[nn.Module]]:
        """See the base class; `encoder` are those of both sentences."""
        return {**super().parts(), "encoder": [self.premise_encoder, self.hypothesis_encoder]}
