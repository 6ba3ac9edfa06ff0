"""What every classifier of sentence pairs offers: one pass to the scores of the classes."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from seq2seq.mappings import Mapping, Softmax
from seq2seq.models.attending import AttendingModel
from seq2seq.nn.embedding import ProjectedEmbedding


class Classification(NamedTuple):
    """Scores of the classes, and where the model looked, if that was asked for.

    ``logits`` ``[batch, class]``; ``attention`` ``[batch, layer, head, queries, premise_length]``,
    from the hypothesis (``queries`` is its length, or 1 where it looks as a whole) to the premise;
    ``reverse`` ``[batch, layer, head, premise_length, hypothesis_length]``, from the premise to the
    hypothesis, of models that have it.
    """

    logits: Tensor
    attention: Tensor | None
    reverse: Tensor | None = None


class PairClassifier(AttendingModel):
    """p(label | premise, hypothesis), both read through one table of embeddings.

    Attributes:
        labels: names of the classes, in the order of the scores.
        output_mapping: makes probabilities of the scores; its Fenchel–Young loss trains the model
            (softmax: cross-entropy).
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
                "premise and hypothesis share one vocabulary, but there are "
                f"{source_vocabulary_size} and {target_vocabulary_size} entries; "
                "set data.subwords.joint=true"
            )
        if len(set(labels)) != len(labels) or len(labels) < 2:
            raise ValueError(f"labels={list(labels)}: give at least two different names")
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
        """See the base class; `embeddings` are the table and its projection."""
        found = super().parts()
        return {"embeddings": found.pop("embedding"), **found}

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
        """Score the classes.

        Args:
            premise: ``[batch, premise_length]`` ids.
            premise_lengths: ``[batch]``; what lies beyond has no influence.
            hypothesis: ``[batch, hypothesis_length]`` ids.
            hypothesis_lengths: ``[batch]``, likewise.
            return_attention: whether to return where the model looks.
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
    """``x`` ``[batch, length, size]`` with zeros from each row's length on."""
    beyond = torch.arange(x.size(1), device=x.device) >= lengths[:, None]
    return x.masked_fill(beyond[:, :, None], 0.0)


def classifying_layer(input_size: int, classes: int) -> nn.Linear:
    """The last layer: scores of the classes, Xavier weights, no class preferred at first."""
    layer = nn.Linear(input_size, classes)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
