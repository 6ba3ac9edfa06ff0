"""What every encoder–decoder offers: one pass for training, steps for search."""

from abc import abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from seq2seq.mappings import Mapping, Softmax
from seq2seq.models.attending import AttendingModel
from seq2seq.models.state import State
from seq2seq.nn.dropout import Dropout
from seq2seq.nn.embedding import Embedding, tie
from seq2seq.nn.linear import Linear
from seq2seq.nn.log_probabilities import LogProbabilities
from seq2seq.nn.pointer_generator import CopySource, PointerGenerator
from seq2seq.nn.projected import Projected


class Output(NamedTuple):
    """All target positions at once, the true target being known.

    ``logits`` ``[batch, target_length, target_vocabulary]``, with copying the log-probabilities
    ``[batch, target_length, target_vocabulary + extra]``; ``attention`` ``[batch, layer, head,
    target_length, source_length]``, if it was asked for. Where logits were not asked for, there is
    what gives them instead; not with copying.
    """

    logits: Tensor | Projected
    attention: Tensor | None


class Step(NamedTuple):
    """One target position.

    ``logits`` ``[batch, target_vocabulary]`` (more with copying), the state after it, and
    ``attention`` ``[batch, layer, head, 1, source_length]``, if it was asked for.
    """

    logits: Tensor
    state: State
    attention: Tensor | None


class EncoderDecoder(AttendingModel):
    """p(target | source), a token at a time: the base of the recurrent model and the Transformer.

    With copying, the source may hold ids V + k: the k-th distinct word of that sentence that the
    vocabulary of size V lacks. They are read as the unknown word, and predicted by copying.

    Attributes:
        output_mapping: makes probabilities of the logits; its Fenchel–Young loss trains the model
            (softmax: cross-entropy), and search reads its probabilities. With copying the logits
            are log-probabilities, and this one takes the exponential.
        pointer_generator: mixes copied words in; None without copying.

    Args:
        source_vocabulary_size: of the source; ids are below it.
        target_vocabulary_size: V, of the target.
        embedding_size: width of the embeddings.
        output_size: width of what the output layer reads.
        embedding_scale: what embeddings are multiplied by.
        output_bias: whether the output layer has one.
        tie_embeddings: ``none``, ``target`` (its embedding is the output layer), or ``all``.
        output_mapping: see above; None: softmax.
        dropout: on embeddings.
        pad_id: padding, never read.
        unk_id: the unknown word.
        copying: whether words of the source are copied; of a joint vocabulary only.

    Raises:
        ValueError: for sizes and options that do not go together.
    """

    def __init__(
        self,
        source_vocabulary_size: int,
        target_vocabulary_size: int,
        *,
        embedding_size: int,
        output_size: int,
        embedding_scale: float = 1.0,
        output_bias: bool,
        tie_embeddings: str,
        output_mapping: Mapping | None,
        dropout: float,
        pad_id: int,
        unk_id: int = 1,
        copying: bool = False,
    ) -> None:
        super().__init__()
        self.pad_id, self.unk_id = pad_id, unk_id
        self.output_mapping = output_mapping or Softmax()
        if self.output_mapping.stateful:
            raise ValueError(
                f"output_mapping={type(self.output_mapping).__name__} bounds attention over steps; "
                "an output layer needs a mapping without bounds, such as Softmax or Sparsemax"
            )
        if self.output_mapping.learned():
            raise ValueError(
                f"output_mapping.learn={[*self.output_mapping.learned()]}: the loss is measured "
                "in γ and Ω, and would fall with them whatever the model predicts; set "
                "output_mapping.learn=[], and learn the parameters of attention"
            )
        self.source_embedding = Embedding(
            source_vocabulary_size, embedding_size, pad_id, embedding_scale
        )
        self.target_embedding = Embedding(
            target_vocabulary_size, embedding_size, pad_id, embedding_scale
        )
        self.output = Linear(output_size, target_vocabulary_size, bias=output_bias)
        nn.init.xavier_uniform_(self.output.weight)
        if output_bias:
            nn.init.zeros_(self.output.bias)
        tie(tie_embeddings, self.source_embedding, self.target_embedding, self.output)
        self.dropout = Dropout(dropout)
        self.pointer_generator: PointerGenerator | None = None
        if copying:
            self._copy_from_source(source_vocabulary_size, target_vocabulary_size)

    @abstractmethod
    def forward(
        self,
        source: Tensor,
        source_lengths: Tensor,
        target_input: Tensor,
        *,
        return_attention: bool = False,
        return_logits: bool = True,
    ) -> Output:
        """Predict every target token from those before it.

        Args:
            source: ``[batch, source_length]`` ids; with copying, those of further words too.
            source_lengths: ``[batch]``; what lies beyond has no influence.
            target_input: ``[batch, target_length]`` ids, bos first; with copying like ``source``.
            return_attention: whether to return the cross-attention.
            return_logits: False: the loss computes them, a few rows at a time (``nn.projected``).
        """

    @abstractmethod
    def start(self, source: Tensor, source_lengths: Tensor) -> State:
        """Encode the source; the state stands before the first target token."""

    @abstractmethod
    def step(self, state: State, token: Tensor, *, return_attention: bool = False) -> Step:
        """Read one target token a row, ``[batch]`` (bos first), and predict the next."""

    def __call__(
        self,
        source: Tensor,
        source_lengths: Tensor,
        target_input: Tensor,
        *,
        return_attention: bool = False,
        return_logits: bool = True,
    ) -> Output:
        """Call ``forward`` with the module's hooks."""
        return super().__call__(
            source,
            source_lengths,
            target_input,
            return_attention=return_attention,
            return_logits=return_logits,
        )

    def parts(self) -> dict[str, list[nn.Module]]:
        """See the base class; `embeddings` are the tables of both sides."""
        embeddings: list[nn.Module] = [self.source_embedding, self.target_embedding]
        return {**super().parts(), "embeddings": embeddings}

    @property
    def copying(self) -> bool:
        """Whether words are copied from the source."""
        return self.pointer_generator is not None

    def _copy_from_source(self, source_size: int, target_size: int) -> None:
        if source_size != target_size:
            raise ValueError(
                f"copying=true needs one vocabulary for both sides, but the source has "
                f"{source_size} entries and the target {target_size}: set data.subwords.joint=true "
                "or model.copying=false"
            )
        size = self.output.in_features  # of the memory too
        self.pointer_generator = PointerGenerator(
            size, size, self.target_embedding.embedding_dim, target_size, self.output_mapping
        )
        self.output_mapping = LogProbabilities(target_size)

    def _embeddable(self, ids: Tensor) -> Tensor:
        """With copying, the unknown word for ids beyond the vocabulary."""
        if not self.copying:
            return ids
        return ids.masked_fill(ids >= self.target_embedding.num_embeddings, self.unk_id)

    def _copy_source(self, source: Tensor, memory: Tensor) -> tuple[Tensor, ...]:
        """What copying reads of the source, for ``State.source``; nothing without."""
        return (
            () if self.pointer_generator is None else self.pointer_generator.prepare(source, memory)
        )

    def _predicted(
        self,
        state: Tensor,
        weights: Tensor | None,
        embedded: Tensor,
        source: tuple[Tensor, ...],
        return_logits: bool,
    ) -> Tensor | Projected:
        """``_logits``, or what gives them, where nothing has to be mixed into them."""
        if return_logits or self.copying:
            return self._logits(state, weights, embedded, source)
        return Projected(state, self.output.weight, self.output.bias)

    def _logits(
        self, state: Tensor, weights: Tensor | None, embedded: Tensor, source: tuple[Tensor, ...]
    ) -> Tensor:
        """The output layer, and copying if there is any.

        Takes what the output layer reads, the attention to copy by, and what the decoder reads:
        ``[rows, length, …]`` each, or ``[sentences · width, 1, …]`` of hypotheses.
        """
        logits = self.output(state)
        if self.pointer_generator is None:
            return logits
        assert weights is not None
        sentences = len(source[0])
        parts = (
            part.reshape(sentences, -1, part.size(-1))
            for part in (logits, weights, state, embedded)
        )
        mixed = self.pointer_generator(*parts, CopySource(*source))
        return mixed.reshape(*logits.shape[:-1], -1)


def source_mask(source: Tensor, source_lengths: Tensor) -> Tensor:
    """True where a source token is real: ``[batch, source_length]``."""
    return torch.arange(source.size(1), device=source.device) < source_lengths[:, None]
