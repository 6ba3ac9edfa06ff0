"""The recurrent model of the paper: Luong et al. (2015), as OpenNMT-py implemented it in 2017."""

from torch import Tensor, nn

from seq2seq.mappings import Mapping
from seq2seq.models.attending import STRENGTHS, with_strength
from seq2seq.models.encoder_decoder import EncoderDecoder, Output, Step, source_mask
from seq2seq.models.state import State
from seq2seq.nn.bridge import BRIDGES
from seq2seq.nn.cells import CELLS
from seq2seq.nn.choice import choose
from seq2seq.nn.luong_attention import LuongAttention, Memory
from seq2seq.nn.recurrent_decoder import InputFeedingDecoder, RecurrentDecoder
from seq2seq.nn.recurrent_encoder import RecurrentEncoder
from seq2seq.nn.repeated import Repeated

DECODERS = {False: RecurrentDecoder, True: InputFeedingDecoder}


class Recurrent(EncoderDecoder):
    """A recurrent encoder and decoder (LSTM or GRU) with global attention.

    Args:
        source_vocabulary_size: number of source subwords.
        target_vocabulary_size: number of target subwords.
        mapping: scores → weights of the attention.
        embedding_size: width of the embeddings.
        hidden_size: width of the states. In a bidirectional encoder, each direction has half of it.
        encoder_layers: number of encoder layers.
        decoder_layers: number of decoder layers.
        cell: ``lstm`` or ``gru``.
        bidirectional: whether the encoder reads the source in both directions.
        bridge: how the encoder's final states s become the decoder's first states: ``linear``
            (``tanh(W s + b)``) or ``copy``.
        score: ``dot``, ``general`` or ``additive``.
        input_feeding: whether the decoder also reads the attentional state of the previous step.
            Without it, the decoder runs the cell over all target positions in one call. They also
            attend in one call, unless the mapping carries bounds from step to step.
        coverage: whether the scores also depend on the sum of the previous weights (See et al.
            2017). The positions then attend one after another.
        dropout: dropout probability of embeddings, between layers and of attentional states.
        tie_embeddings: ``none``, ``target`` (target embedding = output layer) or ``all``.
        output_mapping: logits → probabilities; softmax by default.
        pad_id: the id of padding.
        unk_id: the id of the unknown word.
        copying: whether to copy words of the source by their attention (``nn.pointer_generator``).
        strength: the unit of γ in the attention. ``absolute``: γ as in the literature.
            ``relative``: γ in units of the strength at which the mapping is comparable to softmax;
            ``dot`` and ``general`` scores are also multiplied by ``4/√hidden_size``.
    """

    def __init__(
        self,
        source_vocabulary_size: int,
        target_vocabulary_size: int,
        *,
        mapping: Mapping,
        embedding_size: int = 256,
        hidden_size: int = 256,
        encoder_layers: int = 1,
        decoder_layers: int = 1,
        cell: str = "lstm",
        bidirectional: bool = True,
        bridge: str = "linear",
        score: str = "general",
        input_feeding: bool = True,
        coverage: bool = False,
        dropout: float = 0.2,
        tie_embeddings: str = "none",
        output_mapping: Mapping | None = None,
        pad_id: int = 0,
        unk_id: int = 1,
        copying: bool = False,
        strength: str = "absolute",
    ) -> None:
        super().__init__(
            source_vocabulary_size,
            target_vocabulary_size,
            embedding_size=embedding_size,
            output_size=hidden_size,
            output_bias=True,
            tie_embeddings=tie_embeddings,
            output_mapping=output_mapping,
            dropout=dropout,
            pad_id=pad_id,
            unk_id=unk_id,
            copying=copying,
        )
        kind = choose("cell", cell, CELLS)
        self.encoder = RecurrentEncoder(
            embedding_size, hidden_size, encoder_layers, kind, bidirectional, dropout
        )
        self.bridge = choose("bridge", bridge, BRIDGES)(
            hidden_size, encoder_layers, decoder_layers, kind.states
        )
        self.decoder = DECODERS[input_feeding](
            embedding_size,
            hidden_size,
            decoder_layers,
            kind,
            LuongAttention(
                hidden_size,
                hidden_size,
                with_strength(mapping, strength),
                score,
                coverage,
                scaled=STRENGTHS[strength],
            ),
            dropout,
        )

    def forward(
        self,
        source: Tensor,
        source_lengths: Tensor,
        target_input: Tensor,
        *,
        return_attention: bool = False,
        return_logits: bool = True,
    ) -> Output:
        """See the base class."""
        memory, bridged, copied = self._encode(source, source_lengths)
        embedded = self.dropout(self.target_embedding(self._embeddable(target_input)))
        attentional, weights = self.decoder(embedded, bridged, memory)
        logits = self._predicted(attentional, weights, embedded, copied, return_logits)
        return Output(logits, weights[:, None, None] if return_attention else None)

    def start(self, source: Tensor, source_lengths: Tensor) -> State:
        """See the base class."""
        memory, bridged, copied = self._encode(source, source_lengths)
        return State(source=(*memory, *copied), past=self.decoder.start(bridged, memory))

    def step(self, state: State, token: Tensor, *, return_attention: bool = False) -> Step:
        """See the base class."""
        ids = self._embeddable(token)
        # Hypotheses that share a past often end in the same token too: embed each token once. Not
        # on a GPU, where finding the distinct tokens would force a synchronisation.
        repetitive = state.origin is not None and ids.device.type == "cpu" and not self.training
        tokens = Repeated.of(ids) if repetitive else Repeated(ids)
        embedded = tokens.map(lambda ids: self.dropout(self.target_embedding(ids)))
        memory, copied = Memory(*state.source[:3]), state.source[3:]
        attentional, past, weights = self.decoder.step(embedded, state.past, memory, state.origin)
        logits = self._logits(attentional, weights, embedded.all(), copied)
        attention = weights[:, None, None, None] if return_attention else None
        return Step(logits, State(state.source, past, state.width), attention)

    def attention_mappings(self) -> dict[str, list[Mapping]]:
        """See the base class."""
        return {"cross": [self.decoder.attention.mapping]}

    def parts(self) -> dict[str, list[nn.Module]]:
        """See the base class; `attention` is also contained in `decoder`."""
        return {**super().parts(), "attention": [self.decoder.attention]}

    def _encode(
        self, source: Tensor, source_lengths: Tensor
    ) -> tuple[Memory, tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Return the attention's memory, the decoder's first states and the tensors for copying."""
        embedded = self.dropout(self.source_embedding(self._embeddable(source)))
        outputs, final = self.encoder(embedded, source_lengths)
        mask = source_mask(source, source_lengths)
        memory = self.decoder.attention.prepare(outputs, mask)
        return memory, self.bridge(final), self._copy_source(source, outputs)
