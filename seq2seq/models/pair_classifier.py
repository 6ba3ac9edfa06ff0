"""The base class of all classifiers of sentence pairs."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from seq2seq.mappings import Mapping, Softmax
from seq2seq.models.attending import AttendingModel
from seq2seq.nn.embedding import ProjectedEmbedding


class Classification(NamedTuple):
    """The scores of the classes and, with ``return_attention``, the attention.

    - ``logits``: ``[batch, class]``.
    - ``attention``: ``[batch, layer, head, queries, premise_length]``, from the hypothesis to the
      premise. ``queries`` is the length of the hypothesis, or 1 if it attends as a whole. ``None``
      without ``return_attention``.
    - ``reverse``: ``[batch, layer, head, premise_length, hypothesis_length]``, from the premise to
      the hypothesis; ``None`` for models without this attention, or without ``return_attention``.
    """

    logits: Tensor
    attention: Tensor | None
    reverse: Tensor | None = None


class PairClassifier(AttendingModel):
    """The base class of models of p(label | premise, hypothesis).

    Premise and hypothesis share one embedding table.

    Attributes:
        labels: names of the classes, in the order of the scores.
        output_mapping: scores → probabilities. Its Fenchel–Young loss trains the model
            (cross-entropy for softmax).
    """

    def __init__(
        self,
        source_vocabulary_size: int,
        target_vocabulary_size: int,
        labels: Sequence[str],
        *,
        embedding_size: int,
        projection_size: int,
        freeze_embeddings: bool,
        dropout: float,
        output_mapping: Mapping | None,
        pad_id: int,
    ) -> None:
        super().__init__()
        if source_vocabulary_size != target_vocabulary_size:
            raise ValueError(
                "premise and hypothesis need one vocabulary, but theirs have "
                f"{source_vocabulary_size} and {target_vocabulary_size} entries; "
                "set data.subwords.joint=true"
            )
        if len(set(labels)) != len(labels) or len(labels) < 2:
            raise ValueError(f"labels={list(labels)} must be at least two names, all different")
        self.labels = tuple(labels)
        self.pad_id = pad_id
        self.output_mapping = output_mapping or Softmax()
        self.embedding = ProjectedEmbedding(
            source_vocabulary_size,
            embedding_size,
            projection_size,
            pad_id,
            dropout=dropout,
            freeze=freeze_embeddings,
        )

    def parts(self) -> dict[str, list[nn.Module]]:
        """See the base class; `embeddings` are the embedding table and its projection."""
        parts = super().parts()
        return {"embeddings": parts.pop("embedding"), **parts}

    @abstractmethod
    def forward(
        self,
        premise: Tensor,
        premise_lengths: Tensor,
        hypothesis: Tensor,
        hypothesis_lengths: Tensor,
        *,
        return_attention: bool = False,
    ) -> Classification:
        """Compute the scores of the classes.

        Args:
            premise: ``[batch, premise_length]`` ids.
            premise_lengths: ``[batch]``; positions from the length on are ignored.
            hypothesis: ``[batch, hypothesis_length]`` ids.
            hypothesis_lengths: ``[batch]``, likewise.
            return_attention: whether to return the attention.
        """

    def __call__(
        self,
        premise: Tensor,
        premise_lengths: Tensor,
        hypothesis: Tensor,
        hypothesis_lengths: Tensor,
        *,
        return_attention: bool = False,
    ) -> Classification:
        """Call ``forward`` with the module's hooks."""
        return super().__call__(
            premise,
            premise_lengths,
            hypothesis,
            hypothesis_lengths,
            return_attention=return_attention,
        )


def zero_beyond(x: Tensor, lengths: Tensor) -> Tensor:
    """Return ``x`` ``[batch, length, size]`` with zeros at positions from ``lengths`` on."""
    beyond = torch.arange(x.size(1), device=x.device) >= lengths[:, None]
    return x.masked_fill(beyond[:, :, None], 0.0)


def classifying_layer(input_size: int, classes: int) -> nn.Linear:
    """Return the last layer, which scores the classes: Xavier weights and a zero bias."""
    layer = nn.Linear(input_size, classes)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
