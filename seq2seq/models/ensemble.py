"""Several models that speak as one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seq2seq.mappings import Mapping, Softmax
from seq2seq.models.encoder_decoder import EncoderDecoder, Output, Step
from seq2seq.models.state import State
from seq2seq.nn.log_probabilities import LogProbabilities


class Ensemble(EncoderDecoder):
    """``p(token | past) = 1/n Σ_m p_m(token | past)``, of n models of one vocabulary.

    Its logits are the logarithms of these probabilities, which softmax leaves as they are; what a
    search forbids is taken out of their mean. Its
    attention has one layer and head: the mean over the members' layers and heads, and over them.

    Args:
        members: the models, of any families and output mappings.
    """

    def __init__(self, members: Sequence[EncoderDecoder]) -> None:
        nn.Module.__init__(self)  # it has no layers of its own
        if not members:
            raise ValueError("an ensemble needs at least one model")
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
                "the models of an ensemble have to share their vocabularies, but their sizes "
                f"(source, target, id of padding, whether they copy) are {sorted(sizes)}"
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
        """See the base class; the mean is of logits in any case."""
        outputs = [
            member(source, source_lengths, target_input, return_attention=return_attention)
            for member in self._models
        ]
        return Output(self._mean(outputs), _attention(outputs))

    def start(self, source: Tensor, source_lengths: Tensor) -> State:
        """See the base class."""
        return JointState.of([member.start(source, source_lengths) for member in self._models])

    def step(self, state: State, token: Tensor, *, return_attention: bool = False) -> Step:
        """See the base class."""
        assert isinstance(state, JointState)
        steps = [
            member.step(own, token, return_attention=return_attention)
            for member, own in zip(self._models, state.members, strict=True)
        ]
        after = JointState.of([step.state for step in steps])
        return Step(self._mean(steps), after, _attention(steps))

    @property
    def copying(self) -> bool:
        """See the base class: all members do, or none."""
        return self._models[0].copying

    def attention_mappings(self) -> dict[str, list[Mapping]]:
        """Those of all members, one after another."""
        found: dict[str, list[Mapping]] = {}
        for member in self._models:
            for kind, mappings in member.attention_mappings().items():
                found.setdefault(kind, []).extend(mappings)
        return found

    @property
    def _models(self) -> list[EncoderDecoder]:
        return list(self.members)  # type: ignore[arg-type]

    def _mean(self, outputs: Sequence[Output | Step]) -> Tensor:
        """``log 1/n Σ_m p_m``, at least float32."""
        logs = []
        for member, output in zip(self._models, outputs, strict=True):
            assert isinstance(output.logits, Tensor)  # which were asked for
            logs.append(_log_probabilities(output.logits, member.output_mapping))
        return torch.stack(logs).logsumexp(0) - math.log(len(logs))


@dataclass(frozen=True)
class JointState(State):
    """The states of all members, which move together."""

    members: tuple[State, ...] = ()

    @classmethod
    def of(cls, members: Sequence[State]) -> JointState:
        """Of states of the same sentences and hypotheses."""
        return cls((), (), members[0].width, members=tuple(members))

    @property
    def batch_size(self) -> int:
        """See the base class."""
        return self.members[0].batch_size

    def select(self, rows: Tensor) -> State:
        """See the base class."""
        return self._each(lambda state: state.select(rows))

    def widen(self, width: int) -> State:
        """See the base class."""
        return self._each(lambda state: state.widen(width))

    def reorder(self, rows: Tensor) -> State:
        """See the base class."""
        return self._each(lambda state: state.reorder(rows))

    def keep(self, sentences: Tensor) -> State:
        """See the base class."""
        return self._each(lambda state: state.keep(sentences))

    def _each(self, move: Callable[[State], State]) -> JointState:
        return JointState.of([move(state) for state in self.members])


def _log_probabilities(logits: Tensor, mapping: Mapping) -> Tensor:
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if isinstance(mapping, Softmax):  # whose logarithm does not fall to −inf
        return (logits / mapping.gamma).log_softmax(-1)
    return mapping(logits).log()


def _attention(outputs: Sequence[Output | Step]) -> Tensor | None:
    """``[batch, 1, 1, target_length, source_length]``, if every member gave its own."""
    means = [
        output.attention.mean(dim=(1, 2), keepdim=True)
        for output in outputs
        if output.attention is not None
    ]
    return torch.stack(means).mean(0) if len(means) == len(outputs) else None
