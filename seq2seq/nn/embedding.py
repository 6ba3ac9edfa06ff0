"""Token embeddings, the output layer, and the tying of the two."""

import torch
from torch import Tensor, nn

from seq2seq.nn.choice import choose
from seq2seq.nn.dropout import Dropout


class Embedding(nn.Embedding):
    """``scale · table[token]``, drawn from N(0, 1/size); padding starts as the zero vector."""

    def __init__(self, vocabulary_size: int, size: int, pad_id: int, scale: float = 1.0) -> None:
        super().__init__(vocabulary_size, size, padding_idx=pad_id)
        self.scale = scale

    def reset_parameters(self) -> None:
        """Draw the table anew."""
        nn.init.normal_(self.weight, std=self.embedding_dim**-0.5)
        self._fill_padding_idx_with_zero()

    def forward(self, input: Tensor) -> Tensor:
        """``[batch, length]`` token ids → ``[batch, length, size]``."""
        embedded = super().forward(input)
        return embedded if self.scale == 1.0 else embedded * self.scale


class ProjectedEmbedding(nn.Module):
    """``W · table[token]``: pretrained vectors of one size in a model of another.

    The table may be frozen: then W alone adapts it, to words that training shows and to those that
    it does not (Parikh et al. 2016).
    """

    def __init__(
        self,
        vocabulary_size: int,
        size: int,
        projection_size: int,
        pad_id: int,
        *,
        dropout: float,
        freeze: bool,
    ) -> None:
        super().__init__()
        self.table = Embedding(vocabulary_size, size, pad_id)
        self.table.weight.requires_grad_(not freeze)
        self.projection = nn.Linear(size, projection_size, bias=False)
        nn.init.xavier_uniform_(self.projection.weight)
        self.dropout = Dropout(dropout)

    @torch.no_grad()
    def load_vectors(self, vectors: Tensor, known: Tensor) -> None:
        """Put ``vectors`` ``[vocabulary, size]`` where ``known`` ``[vocabulary]`` is True.

        The other words keep their random vectors, of the same expected length as the vectors given.

        Raises:
            ValueError: if the sizes differ.
        """
        size = self.table.embedding_dim
        if vectors.size(1) != size:
            raise ValueError(
                f"the pretrained vectors have {vectors.size(1)} numbers each, the embedding of the "
                f"model {size}: set model.embedding_size={vectors.size(1)}"
            )
        if known.any():
            length = vectors[known].norm(dim=1).mean()
            self.table.weight.mul_(length)  # the random ones are of length 1, about
        self.table.weight[known] = vectors[known].to(self.table.weight)

    def forward(self, tokens: Tensor) -> Tensor:
        """``[batch, length]`` token ids → ``[batch, length, projection_size]``."""
        return self.projection(self.dropout(self.table(tokens)))


def tie_none(source: Embedding, target: Embedding, output: nn.Linear) -> None:
    """Three tables, each its own."""


def tie_target(source: Embedding, target: Embedding, output: nn.Linear) -> None:
    """The target embedding is the output layer's weight (Press & Wolf 2017)."""
    if target.weight.shape != output.weight.shape:
        raise ValueError(
            f"tied embeddings need as many columns as the output layer reads: the embedding has "
            f"{target.embedding_dim}, the output layer {output.in_features}; "
            f"set embedding_size={output.in_features} or tie_embeddings=none"
        )
    output.weight = target.weight


def tie_all(source: Embedding, target: Embedding, output: nn.Linear) -> None:
    """One table for the source embedding, the target embedding and the output layer."""
    if source.num_embeddings != target.num_embeddings:
        raise ValueError(
            f"tie_embeddings=all needs one vocabulary for both sides, but the source has "
            f"{source.num_embeddings} entries and the target {target.num_embeddings}; "
            f"use joint subwords or tie_embeddings=target"
        )
    tie_target(source, target, output)
    source.weight = target.weight


TIES = {"none": tie_none, "target": tie_target, "all": tie_all}


def tie(name: str, source: Embedding, target: Embedding, output: nn.Linear) -> None:
    """Share tables as ``tie_embeddings`` says: ``none``, ``target`` or ``all``."""
    choose("tie_embeddings", name, TIES)(source, target, output)
