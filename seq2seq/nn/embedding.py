"""Token embeddings, and how they can share their weights with the output layer."""

import torch
from torch import Tensor, nn

from seq2seq.nn.choice import choose
from seq2seq.nn.dropout import Dropout


class Embedding(nn.Embedding):
    """The embedding ``scale · table[token]``.

    The table is drawn from N(0, 1/size), except for padding, whose vector starts as 0.
    """

    def __init__(self, vocabulary_size: int, size: int, pad_id: int, scale: float = 1.0) -> None:
        super().__init__(vocabulary_size, size, padding_idx=pad_id)
        self.scale = scale

    def reset_parameters(self) -> None:
        """Draw the table again."""
        nn.init.normal_(self.weight, std=self.embedding_dim**-0.5)
        if self.padding_idx is not None:
            nn.init.zeros_(self.weight[self.padding_idx])

    @torch.no_grad()
    def load_vectors(self, vectors: Tensor, known: Tensor) -> None:
        """Copy ``vectors`` into the table for the words that are ``known``; others stay random.

        The copied vectors are scaled to a mean length of 1, which is about that of the random ones.
        So the model starts at the scale that its other weights expect.

        Args:
            vectors: ``[vocabulary, size]``.
            known: ``[vocabulary]``, bool.

        Raises:
            ValueError: if the vectors and the table differ in size.
        """
        _check_size(vectors, self)
        if known.any():
            copied = vectors[known]
            self.weight[known] = (copied / copied.norm(dim=1).mean()).to(self.weight)

    def forward(self, input: Tensor) -> Tensor:
        """Embed ``[batch, length]`` token ids as ``[batch, length, size]``."""
        embedded = super().forward(input)
        return embedded if self.scale == 1.0 else embedded * self.scale


class ProjectedEmbedding(nn.Module):
    """The embedding ``W · table[token]``: word vectors of one size for a model of another size.

    The table may be frozen. Training then changes only W, which also adapts the vectors of words
    that do not occur in the training data (Parikh et al. 2016).
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
        """Copy ``vectors`` into the table for the words that are ``known``.

        The other words keep their random vectors, scaled to the mean length of the copied ones.

        Args:
            vectors: ``[vocabulary, size]``.
            known: ``[vocabulary]``, bool.

        Raises:
            ValueError: if the vectors and the table differ in size.
        """
        _check_size(vectors, self.table)
        if known.any():
            length = vectors[known].norm(dim=1).mean()
            self.table.weight.mul_(length)  # the random vectors have a length of about 1
        self.table.weight[known] = vectors[known].to(self.table.weight)

    def forward(self, tokens: Tensor) -> Tensor:
        """Embed ``[batch, length]`` token ids as ``[batch, length, projection_size]``."""
        return self.projection(self.dropout(self.table(tokens)))


def _check_size(vectors: Tensor, table: nn.Embedding) -> None:
    if vectors.size(1) != table.embedding_dim:
        raise ValueError(
            f"the pretrained vectors have {vectors.size(1)} dimensions, but the embedding of "
            f"the model has {table.embedding_dim}; set model.embedding_size={vectors.size(1)} "
            "(model.size of a Transformer)"
        )


def tie_none(source: Embedding, target: Embedding, output: nn.Linear) -> None:
    """Leave the three tables separate."""


def tie_target(source: Embedding, target: Embedding, output: nn.Linear) -> None:
    """Use the target embedding as the weight of the output layer (Press & Wolf 2017)."""
    if target.weight.shape != output.weight.shape:
        raise ValueError(
            f"tied embeddings need the width of the output layer's input, but the embedding has "
            f"{target.embedding_dim} columns and the output layer {output.in_features}; "
            f"set embedding_size={output.in_features} or tie_embeddings=none"
        )
    output.weight = target.weight


def tie_all(source: Embedding, target: Embedding, output: nn.Linear) -> None:
    """Use one table for the source embedding, the target embedding and the output layer."""
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
    """Share tables as the option ``tie_embeddings`` says: ``none``, ``target`` or ``all``."""
    choose("tie_embeddings", name, TIES)(source, target, output)
