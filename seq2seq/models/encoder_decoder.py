"""The base class of encoder-decoders: one call for training, one step a token for search."""

from abc import abstractmethod
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from seq2seq.mappings import Mapping, Softmax
from seq2seq.models.attending import AttendingModel
from seq2seq.models.state import DecoderState, State
from seq2seq.nn.chunked_loss import Projected
from seq2seq.nn.dropout import Dropout
from seq2seq.nn.embedding import Embedding, tie
from seq2seq.nn.linear import Linear
from seq2seq.nn.log_probabilities import LogProbabilities
from seq2seq.nn.pointer_generator import CopySource, PointerGenerator

S = TypeVar("S", bound=DecoderState)


class Output(NamedTuple):
    """The predictions for all target positions, computed from the true target.

    - ``logits``: ``[batch, target_length, target_vocabulary]``. With copying they are
      log-probabilities, ``[batch, target_length, target_vocabulary + extra]``. With
      ``return_logits=False`` and without copying, a ``Projected`` that can compute them.
    - ``attention``: ``[batch, layer, head, target_length, source_length]``, or ``None`` without
      ``return_attention``.
    """

    logits: Tensor | Projected
    attention: Tensor | None


class Step(NamedTuple, Generic[S]):
    """The prediction for one target position.

    - ``logits``: ``[batch, target_vocabulary]``, or ``[batch, target_vocabulary + extra]`` with
      copying.
    - ``state``: the state after the token that was read.
    - ``attention``: ``[batch, layer, head, 1, source_length]``, or ``None`` without
      ``return_attention``.
    """

    logits: Tensor
    state: S
    attention: Tensor | None


class Decodable(AttendingModel, Generic[S]):
    """What a search and a loss need of a model of p(target | source).

    Attributes:
        output_mapping: computes probabilities from the logits. Its Fenchel–Young loss trains the
            model (cross-entropy for softmax), and search uses its probabilities. With copying the
            logits are log-probabilities, and the mapping computes their exponential.
        pad_id: the id of padding, which the model ignores.
    """

    output_mapping: Mapping
    pad_id: int

    @property
    @abstractmethod
    def copying(self) -> bool:
        """Whether the model copies words from the source."""

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
        """Predict every target token from the tokens before it.

        Args:
            source: ``[batch, source_length]`` ids; with copying, ids from V on are allowed.
            source_lengths: ``[batch]``; positions from the length on are ignored.
            target_input: ``[batch, target_length]`` ids, bos first; with copying like ``source``.
            return_attention: whether to return the cross-attention.
            return_logits: if False, return a ``Projected`` instead of logits. The loss then
                computes the logits a few rows at a time (``nn.chunked_loss``).
        """

    @abstractmethod
    def start(self, source: Tensor, source_lengths: Tensor) -> S:
        """Encode the source and return the state before the first target token."""

    @abstractmethod
    def step(self, state: S, token: Tensor, *, return_attention: bool = False) -> Step[S]:
        """Read one target token per row, ``[batch]`` (bos first), and predict the next."""

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


class EncoderDecoder(Decodable[State]):
    """The base class of models of p(target | source), which predict one token after another.

    With copying, the source may hold the ids V + k, where V is the size of the vocabulary. The id
    V + k is the k-th distinct word of the sentence that is not in the vocabulary. The model reads
    it as the unknown word, and can predict it by copying.

    Attributes:
        pointer_generator: adds the probabilities of copied words; ``None`` without copying.

    Args:
        source_vocabulary_size: number of ids of the source.
        target_vocabulary_size: V, the number of ids of the target.
        embedding_size: width of the embeddings.
        output_size: width of the input of the output layer.
        embedding_scale: factor that multiplies the embeddings.
        output_bias: whether the output layer has a bias.
        tie_embeddings: ``none``; ``target``: the target embedding is also the weight of the output
            layer; ``all``: the source embedding shares it too.
        output_mapping: logits → probabilities, see ``Decodable``; softmax if ``None``.
        dropout: dropout probability of the embeddings.
        pad_id: the id of padding, which the model ignores.
        unk_id: the id of the unknown word.
        copying: whether to copy words of the source; this needs a joint vocabulary.

    Raises:
        ValueError: if sizes or options contradict each other.
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
                f"output_mapping={type(self.output_mapping).__name__} bounds the sum of attention "
                "over steps; an output layer needs a mapping without bounds, such as Softmax or "
                "Sparsemax"
            )
        if self.output_mapping.learned():
            raise ValueError(
                f"output_mapping.learn={[*self.output_mapping.learned()]}: the loss depends on "
                "these parameters, so learning them would lower it without better predictions; set "
                "output_mapping.learn=[], and learn the parameters of attention instead"
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

    def parts(self) -> dict[str, list[nn.Module]]:
        """See the base class; `embeddings` are those of source and target."""
        embeddings: list[nn.Module] = [self.source_embedding, self.target_embedding]
        return {**super().parts(), "embeddings": embeddings}

    @property
    def copying(self) -> bool:
        """Whether the model copies words from the source."""
        return self.pointer_generator is not None

    def _copy_from_source(self, source_size: int, target_size: int) -> None:
        if source_size != target_size:
            raise ValueError(
                f"copying=true needs one vocabulary for both sides, but the source has "
                f"{source_size} entries and the target {target_size}; set data.subwords.joint=true "
                "or model.copying=false"
            )
        size = self.output.in_features  # also the width of the encoder outputs
        self.pointer_generator = PointerGenerator(
            size, size, self.target_embedding.embedding_dim, target_size, self.output_mapping
        )
        self.output_mapping = LogProbabilities(target_size)

    def _embeddable(self, ids: Tensor) -> Tensor:
        """Replace ids outside the vocabulary by the unknown word, if the model copies."""
        if not self.copying:
            return ids
        return ids.masked_fill(ids >= self.target_embedding.num_embeddings, self.unk_id)

    def _copy_source(self, source: Tensor, memory: Tensor) -> tuple[Tensor, ...]:
        """Return the tensors that copying adds to ``State.source``; ``()`` without copying."""
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
        """Return the logits, or a ``Projected`` if allowed; copying always needs the logits."""
        if return_logits or self.copying:
            return self._logits(state, weights, embedded, source)
        return Projected(state, self.output.weight, self.output.bias)

    def _logits(
        self, state: Tensor, weights: Tensor | None, embedded: Tensor, source: tuple[Tensor, ...]
    ) -> Tensor:
        """Compute the logits; with copying, the log-probabilities of the mixture.

        Args:
            state: the input of the output layer.
            weights: the attention that copying uses; ``None`` without copying.
            embedded: the input of the decoder.
            source: the tensors from ``_copy_source``.

        ``state``, ``weights`` and ``embedded`` are ``[rows, length, …]`` each. In a search they are
        ``[sentences · width, …]``, or ``[sentences, width, …]``: one position of each hypothesis.
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
    """Return a mask ``[batch, source_length]``: True for tokens, False for padding."""
    return torch.arange(source.size(1), device=source.device) < source_lengths[:, None]
