"""Token embeddings, the output layer, and the tying of the two."""

from torch import Tensor, nn

from seq2seq.nn.choice import choose


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
