"""An ensemble: several models that predict together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seq2seq.mappings import Mapping
from seq2seq.models.encoder_decoder import Decodable, EncoderDecoder, Output, Step
from seq2seq.models.state import State
from seq2seq.nn.log_probabilities import LogProbabilities


@dataclass(frozen=True)
class JointState:
    """The states of all members, which change together.

    Attributes:
        members: states of the same sentences and hypotheses.
    """

    members: tuple[State, ...]

    @property
    def width(self) -> int:
        """See :class:`DecoderState`."""
        return self.members[0].width

    @property
    def batch_size(self) -> int:
        """See :class:`DecoderState`."""
        return self.members[0].batch_size

    def select(self, rows: Tensor) -> JointState:
        """See :class:`DecoderState`."""
        return self._each(lambda state: state.select(rows))

    def widen(self, width: int) -> JointState:
        """See :class:`DecoderState`."""
        return self._each(lambda state: state.widen(width))

    def reorder(self, rows: Tensor) -> JointState:
        """See :class:`DecoderState`."""
        return self._each(lambda state: state.reorder(rows))

    def keep(self, sentences: Tensor) -> JointState:
        """See :class:`DecoderState`."""
        return self._each(lambda state: state.keep(sentences))

    def _each(self, move: Callable[[State], State]) -> JointState:
        return JointState(tuple(move(state) for state in self.members))


class Ensemble(Decodable[JointState]):
    """The mean of n models that share a vocabulary.

    It predicts ``p(token | past) = 1/n Σ_m p_m(token | past)``, and its logits are the logarithms
    of these probabilities. A search removes forbidden tokens from the mean, not from each member.
    The attention has one layer and one head: the mean over the layers and heads of each member, and
    then over the members.

    Args:
        members: the models, which may have different architectures and output mappings.

    Raises:
        ValueError: if ``members`` is empty, or the members have different vocabularies.
    """

    def __init__(self, members: Sequence[EncoderDecoder]) -> None:
        super().__init__()
        if not members:
            raise ValueError("an ensemble needs at least one model, but members is empty")
        sizes = {
            (
                member.source_embedding.num_embeddings,
                member.target_embedding.num_embeddings,
                member.pad_id,
                member.copying,
            )
            for member in members
        }
        if len(sizes) > 1:
            raise ValueError(
                "the models of an ensemble have to share their vocabularies and either all copy or "
                "none, but their values of (source size, target size, pad_id, copying) are "
                f"{sorted(sizes)}"
            )
        self.members = nn.ModuleList(members)
        self.pad_id = members[0].pad_id
        self.output_mapping = LogProbabilities(members[0].target_embedding.num_embeddings)
        longest = [member.max_length for member in members if member.max_length is not None]
        self.max_length = min(longest, default=None)

    def forward(
        self,
        source: Tensor,
        source_lengths: Tensor,
        target_input: Tensor,
        *,
        return_attention: bool = False,
        return_logits: bool = True,
    ) -> Output:
        """See the base class; ``return_logits`` is ignored, because the mean needs the logits."""
        outputs = [
            member(source, source_lengths, target_input, return_attention=return_attention)
            for member in self._models
        ]
        return Output(self._mean(outputs), _attention(outputs))

    def start(self, source: Tensor, source_lengths: Tensor) -> JointState:
        """See the base class."""
        return JointState(tuple(member.start(source, source_lengths) for member in self._models))

    def step(
        self, state: JointState, token: Tensor, *, return_attention: bool = False
    ) -> Step[JointState]:
        """See the base class."""
        steps = [
            member.step(own, token, return_attention=return_attention)
            for member, own in zip(self._models, state.members, strict=True)
        ]
        after = JointState(tuple(step.state for step in steps))
        return Step(self._mean(steps), after, _attention(steps))

    @property
    def copying(self) -> bool:
        """See the base class; either all members copy or none."""
        return self._models[0].copying

    def attention_mappings(self) -> dict[str, list[Mapping]]:
        """Return the mappings of all members, in the order of the members."""
        by_kind: dict[str, list[Mapping]] = {}
        for member in self._models:
            for kind, mappings in member.attention_mappings().items():
                by_kind.setdefault(kind, []).extend(mappings)
        return by_kind

    @property
    def _models(self) -> list[EncoderDecoder]:
        return list(self.members)  # type: ignore[arg-type]

    def _mean(self, outputs: Sequence[Output | Step[State]]) -> Tensor:
        """Return ``log 1/n Σ_m p_m``, in float32 or float64."""
        logs = []
        for member, output in zip(self._models, outputs, strict=True):
            assert isinstance(output.logits, Tensor)  # because return_logits is True
            logits = output.logits.to(torch.promote_types(output.logits.dtype, torch.float32))
            logs.append(member.output_mapping.log_weights(logits))
        return torch.stack(logs).logsumexp(0) - math.log(len(logs))


def _attention(outputs: Sequence[Output | Step[State]]) -> Tensor | None:
    """Return the mean attention, or ``None`` if a member returned none.

    It is ``[batch, 1, 1, target_length, source_length]``.
    """
    means = [
        output.attention.mean(dim=(1, 2), keepdim=True)
        for output in outputs
        if output.attention is not None
    ]
    return torch.stack(means).mean(0) if len(means) == len(outputs) else None
