"""The parts of a model as programs with named tensors as inputs and outputs."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from seq2seq.data.batch import BOS_ID, PAD_ID
from seq2seq.mappings import Mapping
from seq2seq.models.attending import AttendingModel, evaluating
from seq2seq.models.encoder_decoder import EncoderDecoder
from seq2seq.models.pair_classifier import PairClassifier
from seq2seq.models.state import State
from seq2seq.nn.multi_head_attention import KeysValues
from seq2seq.nn.recurrent_encoder import RecurrentEncoder
from seq2seq.publishing.errors import PublishingError
from seq2seq.publishing.scanned_encoder import ScannedEncoder


@dataclass(frozen=True)
class Port:
    """An input or output: name, type, and shape; free dimensions have names."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class Program:
    """A part of a model, to be exported.

    Attributes:
        name: name of its file.
        module: module that takes and returns tensors, in the order of the ports.
        examples: example inputs.
        inputs: ports of the inputs.
        outputs: ports of the outputs.
    """

    name: str
    module: nn.Module
    examples: tuple[Tensor, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


class Encoder(nn.Module):
    """The encoder: from ``source`` and ``source_lengths`` to the state before the first step."""

    def __init__(self, model: EncoderDecoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, source: Tensor, source_lengths: Tensor) -> tuple[Tensor, ...]:
        """Return the parts of the state for ``[batch, source_length]`` and ``[batch]``."""
        # Copy outputs that are views of other outputs, or that occur twice.
        return tuple(part.clone() for part in _parts(self.model.start(source, source_lengths)))


class Step(nn.Module):
    """A step: from a token and the state to log-probabilities, attention and the next state.

    Args:
        model: the model.
        like: an example state, which tells the number of its parts.
    """

    def __init__(self, model: EncoderDecoder, like: State) -> None:
        super().__init__()
        self.model = model
        self.memories, self.pasts = len(like.source), len(like.past)
        self.grows = like.history is not None

    def forward(self, token: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """Return log-probabilities, attention and the changed parts, for ``[batch]`` and parts.

        The log-probabilities ``[batch, vocabulary]`` are those of search: conditioned on neither
        padding nor bos being the next token.
        """
        source, rest = state[: self.memories], state[self.memories :]
        past, grown = rest[: self.pasts], rest[self.pasts :]
        history: Any = Appended(list(grown), grown[0].size(2)) if self.grows else None
        logits, after, attention = self.model.step(
            State(source, past, history=history), token, return_attention=True
        )
        assert attention is not None
        forbidden = torch.tensor([PAD_ID, BOS_ID], device=logits.device)
        logits = logits.index_fill(-1, forbidden, -torch.inf)
        found = self.model.output_mapping.log_weights(logits)
        return (found, attention.squeeze(3), *_parts(after)[self.memories :])


class Classifier(nn.Module):
    """The classifier: from two sentences to probabilities of classes and attention."""

    def __init__(self, model: PairClassifier) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        premise: Tensor,
        premise_lengths: Tensor,
        hypothesis: Tensor,
        hypothesis_lengths: Tensor,
    ) -> tuple[Tensor, ...]:
        """Return ``[batch, class]`` and attention, for ids ``[batch, length]`` and lengths."""
        found = self.model(
            premise, premise_lengths, hypothesis, hypothesis_lengths, return_attention=True
        )
        attention = [part for part in (found.attention, found.reverse) if part is not None]
        return (self.model.output_mapping(found.logits), *attention)


@dataclass
class Appended:
    """A history of self-attention without a buffer: each step appends to the tensors that came in.

    It stands in for :class:`~seq2seq.nn.history.History` where a program takes one step.

    Attributes:
        parts: keys and values of layer after layer, ``[batch, head, history_length, head_size]``.
        length: the number of positions decoded.
    """

    parts: list[Tensor]
    length: int

    def advance(self, width: int) -> Appended:
        """Return a history for one position more, still to be written."""
        return Appended(list(self.parts), self.length + 1)

    def write(self, layer: int, new: KeysValues) -> KeysValues:
        """Append the keys and values of a layer, and return all of them."""
        place = slice(2 * layer, 2 * layer + 2)
        pairs = zip(self.parts[place], new, strict=True)
        self.parts[place] = [torch.cat([old, one], dim=2) for old, one in pairs]
        return KeysValues(*self.parts[place])

    def mask(self) -> None:
        """Return None: a hypothesis sees all of its past."""


def programs(model: AttendingModel) -> list[Program]:
    """Return the programs of a model: an encoder and a step, or a classifier.

    Args:
        model: the model, which is not changed.

    Raises:
        PublishingError: if the model cannot be exported.
    """
    if isinstance(model, PairClassifier):
        return [_classifier(model)]
    if not isinstance(model, EncoderDecoder):
        raise PublishingError(
            f"a {type(model).__name__} cannot be exported; give one encoder-decoder or classifier"
        )
    if model.copying:
        raise PublishingError(
            "a model with model.copying=true cannot be exported, because its vocabulary grows by "
            "the copied words of each sentence; train one without, or use seq2seq-translate"
        )
    return _encoder_and_step(model)


def _exportable(model: AttendingModel) -> Any:
    """Return a copy in evaluation mode whose parts can all be exported."""
    model = copy.deepcopy(model).cpu().eval().requires_grad_(False)
    for module in list(model.modules()):
        if isinstance(module, Mapping):
            for name, learned in module.learned().items():  # is read as a tensor, not a module
                value = learned().detach()
                delattr(module, name)
                module.register_buffer(name, value)
        for name, child in list(module.named_children()):
            if isinstance(child, RecurrentEncoder):
                setattr(module, name, ScannedEncoder(child))
    return model


def _encoder_and_step(model: EncoderDecoder) -> list[Program]:
    exportable = _exportable(model)
    small, large = ({"batch": 2 + n, "source_length": 5 + 2 * n} for n in range(2))
    with evaluating(model):
        inputs, others = (_sentences(sizes, "source") for sizes in (small, large))
        state, other = (model.start(*given) for given in (inputs, others))
    shapes = [
        _shape(one, two, small, large)
        for one, two in zip(_parts(state), _parts(other), strict=True)
    ]
    names = [f"memory_{n}" for n in range(len(state.source))]
    names += [f"past_{n}" for n in range(len(state.past))]
    memories = len(names) - len(state.past)
    if state.history is not None:
        names += [f"history_{n}" for n in range(len(shapes) - len(names))]
    ports = [
        Port(name, _dtype(part), shape)
        for name, part, shape in zip(names, _parts(state), shapes, strict=True)
    ]
    grown = [_growing(port) for port in ports]
    token = Port("token", "int64", ("batch",))
    parts = [
        part if "history" not in name else part.new_zeros(*part.shape[:2], 3, part.size(3))
        for name, part in zip(names, _parts(state), strict=True)
    ]
    step = Step(exportable, state)
    examples = (torch.tensor([4, 5]), *(part.clone() for part in parts))
    with torch.no_grad():
        found, attention, *_ = step(*examples)
    outputs = (
        Port("log_probabilities", _dtype(found), ("batch", found.size(1))),
        Port("attention", _dtype(attention), ("batch", *attention.shape[1:3], "source_length")),
        *(_growing(port, by="history_length + 1") for port in ports[memories:]),
    )
    return [
        Program("encoder", Encoder(exportable), inputs, _read("source"), tuple(ports)),
        Program("step", step, examples, (token, *grown), outputs),
    ]


def _classifier(model: PairClassifier) -> Program:
    sizes = {"batch": 2, "premise_length": 5, "hypothesis_length": 4}
    other = {"batch": 3, "premise_length": 7, "hypothesis_length": 6}
    sides = ("premise", "hypothesis")
    examples, others = (
        tuple(tensor for side in sides for tensor in _sentences(given, side))
        for given in (sizes, other)
    )
    with evaluating(model):
        found = list(zip(*(Classifier(model)(*given) for given in (examples, others)), strict=True))
    names = ["probabilities", "attention", "reverse"]
    outputs = tuple(
        Port(name, _dtype(one), _shape(one, two, sizes, other))
        for name, (one, two) in zip(names, found, strict=False)
    )
    inputs = (*_read("premise"), *_read("hypothesis"))
    return Program("classifier", Classifier(_exportable(model)), examples, inputs, outputs)


def _read(side: str) -> tuple[Port, Port]:
    return (
        Port(side, "int64", ("batch", f"{side}_length")),
        Port(f"{side}_lengths", "int64", ("batch",)),
    )


def _sentences(sizes: dict[str, int], side: str) -> tuple[Tensor, Tensor]:
    """Return sentences of arbitrary tokens, each one shorter than the one before."""
    batch, length = sizes["batch"], sizes[f"{side}_length"]
    return torch.full((batch, length), 3), length - torch.arange(batch)


def _shape(
    one: Tensor, two: Tensor, small: dict[str, int], large: dict[str, int]
) -> tuple[int | str, ...]:
    """Return the shape, with names for the sizes that vary."""
    names = {(small[name], large[name]): name for name in small}
    return tuple(names[(a, b)] if a != b else a for a, b in zip(one.shape, two.shape, strict=True))


def _growing(port: Port, by: str = "history_length") -> Port:
    """Return the port of a part of the history that is not empty."""
    if not port.name.startswith("history"):
        return port
    return Port(port.name, port.dtype, (*port.shape[:2], by, port.shape[3]))


def _parts(state: State) -> tuple[Tensor, ...]:
    history: Any = state.history
    if isinstance(history, Appended):
        return (*state.source, *state.past, *history.parts)
    rooms = [] if history is None else [part for layer in history.room.layers for part in layer]
    return (*state.source, *state.past, *rooms)


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
